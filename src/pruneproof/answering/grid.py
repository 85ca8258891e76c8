"""The grid: which conditions a study has, what is asked on which image under each, and which answers are shared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import pyarrow as pa

from pruneproof.answering import dialogues
from pruneproof.answering.batch import AskedImage, Batch, Question
from pruneproof.errors import PruneProofError
from pruneproof.files import read_rows
from pruneproof.folders import Folders
from pruneproof.perturbations.images.stage import image_conditions
from pruneproof.perturbations.text import conditions as text_conditions
from pruneproof.records import ANSWERS, CLEAN, Condition, Sample, sample_from_row
from pruneproof.seeds import generator
from pruneproof.settings import Study

IMAGES_PER_BATCH = 10
"""Images of one batch: the most that a kill can lose, and fixed so that no answer depends on the number of workers."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Everything that is asked under one condition."""

    condition: Condition
    batches: tuple[Batch, ...]
    """Questions that no earlier condition has asked about the same pictures."""
    samples: tuple[str, ...]
    """Ids of the samples that are asked."""
    answers: tuple[int, ...]
    """For each sample the number of its answer, counting the questions of all batches so far from 0."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked over all conditions, without the pictures."""

    contents: tuple[str, ...]
    """`Batch.content` of every batch."""
    conditions: tuple[Condition, ...]
    """The condition of every batch."""
    rows: pa.Table
    """The columns of `records.ANSWERS` that say which sample is asked under which condition."""
    answers: tuple[int, ...]
    """For each row the number of its answer, counting the questions of all batches from 0."""


def conditions(study: Study) -> tuple[Condition, ...]:
    """Clean first, then image conditions, text conditions, and dialogues."""
    perturbations = study.perturbations
    return (
        CLEAN,
        *image_conditions(perturbations.image),
        *text_conditions(perturbations.text),
        *dialogues.conditions(study.answering.dialogues),
    )


def read_asking(study: Study, folders: Folders, by_question: bool, ranks_clean: bool = False) -> Asking:
    """Go through all sheets and keep everything but the pictures; arguments and errors as of `sheets`."""
    contents: list[tuple[str, Condition]] = []
    rows: list[tuple[str, str, int, str]] = []
    answers: list[int] = []
    for sheet in sheets(study, folders, by_question, ranks_clean=ranks_clean):
        shown = sheet.condition
        contents += [(batch.content, shown) for batch in sheet.batches]
        rows += [(shown.family, shown.perturbation, shown.severity, sample) for sample in sheet.samples]
        answers += sheet.answers
    schema = pa.schema([ANSWERS.field(name) for name in ("family", "perturbation", "severity", "sample_id")])
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    table = pa.table([pa.array(column, f.type) for column, f in zip(columns, schema, strict=True)], schema=schema)
    return Asking(tuple(c for c, _ in contents), tuple(c for _, c in contents), table, tuple(answers))


def sheets(
    study: Study,
    folders: Folders,
    by_question: bool,
    only: Sequence[Condition] | None = None,
    ranks_clean: bool = False,
) -> Iterator[Sheet]:
    """What is asked under each condition, in the order of `conditions`; the same for every backbone and method.

    A question is asked once of a picture, under the first condition that asks it: rewording may leave a question as it
    was, and a dialogue begins with a single question. What is asked before is part of a question, and so is what tokens
    are selected by, for methods that look at it.

    Args:
        study: the settings.
        folders: where the inputs are; only those of the conditions asked for are read.
        by_question: for methods that select by the question.
        only: conditions to give; None for all.
        ranks_clean: for methods that look at the clean picture whatever is shown.

    Raises:
        PruneProofError: if a table is missing or damaged, or no image has as many questions as a dialogue has turns.
    """
    samples = [sample_from_row(row) for row in read_rows(folders.benchmark / "samples.parquet")]
    clean = {
        row["image_id"]: row["png"] for row in read_rows(folders.benchmark / "images.parquet", ["image_id", "png"])
    }
    reworded: dict[tuple[str, int], dict[str, str]] = {}
    numbers: dict[tuple[str, str, Question], int] = {}
    for condition in conditions(study) if only is None else only:
        pictures = clean
        if condition.family == "image":
            rows = read_rows(folders.corrupted / f"{condition.condition_id}.parquet", ["image_id", "png"])
            pictures = {row["image_id"]: row["png"] for row in rows if row["png"] is not None}
        asked = {s.sample_id: Question(s.question, s.asks == "caption") for s in samples}
        if condition.family == "text":
            reworded = reworded or _reworded(folders)
            texts = reworded.get((condition.perturbation, condition.severity), {})
            asked = {name: replace(asked[name], text=text) for name, text in texts.items() if name in asked}
        elif condition.family == "dialogue":
            asked = _in_turn(study, condition, samples, by_question)
        captions = condition.condition_id in study.answering.caption_conditions
        chosen = [
            (sample.image_id, sample.sample_id, asked[sample.sample_id])
            for sample in samples
            if sample.sample_id in asked and sample.image_id in pictures and (captions or sample.asks != "caption")
        ]
        originals = clean if ranks_clean and condition.family == "image" else {}
        yield _sheet(condition, pictures, originals, chosen, numbers)


def _sheet(
    condition: Condition,
    pictures: dict[str, bytes],
    originals: dict[str, bytes],
    chosen: list[tuple[str, str, Question]],
    numbers: dict[tuple[str, str, Question], int],
) -> Sheet:
    """The sheet of one condition; questions that are new are numbered.

    Args:
        condition: the condition.
        pictures: PNG by image id, in the order in which they are shown.
        originals: PNG by image id of what methods look at, where that is another picture.
        chosen: (image id, sample id, question).
        numbers: of the questions asked so far, by what was done to the picture, image id and question.
    """
    shown = Batch(condition, ()).shown
    place = {image_id: i for i, image_id in enumerate(pictures)}
    chosen = sorted(chosen, key=lambda one: place[one[0]])
    new = list(dict.fromkeys((image_id, q) for image_id, _, q in chosen if (shown, image_id, q) not in numbers))
    first = len(numbers)
    numbers.update(((shown, *key), first + i) for i, key in enumerate(new))
    images = [
        AskedImage(image_id, pictures[image_id], tuple(question for _, question in group), originals.get(image_id, b""))
        for image_id, group in groupby(new, key=lambda one: one[0])
    ]
    starts = range(0, len(images), IMAGES_PER_BATCH)
    return Sheet(
        condition,
        tuple(Batch(condition, tuple(images[start : start + IMAGES_PER_BATCH])) for start in starts),
        tuple(sample_id for _, sample_id, _ in chosen),
        tuple(numbers[shown, image_id, question] for image_id, _, question in chosen),
    )


def _reworded(folders: Folders) -> dict[tuple[str, int], dict[str, str]]:
    """Accepted texts by (perturbation, severity) and sample."""
    columns = ["sample_id", "perturbation", "severity", "text", "accepted"]
    found: dict[tuple[str, int], dict[str, str]] = {}
    for row in read_rows(folders.reworded / "questions.parquet", columns):
        if row["accepted"]:
            found.setdefault((row["perturbation"], row["severity"]), {})[row["sample_id"]] = row["text"]
    return found


def _in_turn(study: Study, condition: Condition, samples: list[Sample], by_question: bool) -> dict[str, Question]:
    """Each sample as the condition's turn of a dialogue on its image."""
    found: dict[str, Question] = {}
    of_image: dict[str, list[Sample]] = {}
    for sample in samples:
        of_image.setdefault(sample.image_id, []).append(sample)
    settings = study.answering.dialogues
    chosen = dialogues.select_by(settings, condition)
    for image_id, own in of_image.items():
        rng = generator(study.study.seed, "dialogues", image_id)
        for sample, turn in dialogues.in_turn(own, condition.severity, settings.turns, chosen, rng):
            selecting = turn.selecting if by_question and turn.selecting != turn.question else ""
            found[sample.sample_id] = Question(turn.question, False, turn.history, selecting)
    if not found:
        raise PruneProofError(
            f"answering.dialogues.turns is {settings.turns}, but no image has so many different questions: "
            "lower it, or leave `select_by` empty"
        )
    return found
