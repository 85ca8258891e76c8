"""The grid: which conditions a study has, what is asked on which image under each, and which answers are shared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pruneproof.answering import dialogues
from pruneproof.answering.batch import AskedImage, Batch, Question
from pruneproof.errors import PruneProofError
from pruneproof.files import read_rows
from pruneproof.folders import Folders
from pruneproof.perturbations.gallery import Gallery
from pruneproof.perturbations.images.stage import image_conditions
from pruneproof.perturbations.text import conditions as text_conditions
from pruneproof.records import CLEAN, Condition, Sample, sample_from_row
from pruneproof.seeds import generator
from pruneproof.settings import Study
from pruneproof.stored import ROWS_PER_GROUP, Stored

IMAGES_PER_BATCH = ROWS_PER_GROUP
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


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows of one condition in a table of answers."""

    condition: Condition
    samples: pa.Array
    """Ids."""
    answers: NDArray[np.int64]
    """For each sample the number of its answer, counting the questions of all batches from 0."""

    @property
    def table(self) -> pa.Table:
        """The columns of `records.ANSWERS` that say which sample is asked under which condition."""
        shown, count = self.condition, len(self.samples)
        severity = pa.scalar(shown.severity, pa.int32())
        columns = [pa.repeat(value, count) for value in (shown.family, shown.perturbation, severity)]
        return pa.table([*columns, self.samples], names=["family", "perturbation", "severity", "sample_id"])


@dataclass(frozen=True, slots=True, eq=False)
class Asking:
    """What is asked over all conditions, without the questions."""

    contents: tuple[str, ...]
    """`Batch.content` of every batch."""
    conditions: tuple[Condition, ...]
    """The condition of every batch."""
    sizes: tuple[int, ...]
    """Number of questions of every batch."""
    rows: tuple[Rows, ...]
    """One for every condition, in their order."""


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
    """Go through all sheets and keep what answers are found by; arguments and errors as of `sheets`."""
    batches: list[tuple[str, Condition, int]] = []
    rows: list[Rows] = []
    for sheet in sheets(study, folders, by_question, ranks_clean=ranks_clean):
        batches += [(batch.content, sheet.condition, batch.count) for batch in sheet.batches]
        rows.append(Rows(sheet.condition, pa.array(sheet.samples, pa.string()), np.array(sheet.answers, np.int64)))
    contents, shown, sizes = zip(*batches, strict=True) if batches else ((), (), ())
    return Asking(contents, shown, sizes, tuple(rows))


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
    gallery = Gallery(study, folders)
    as_written = {s.sample_id: Question(s.question, s.asks == "caption") for s in samples}
    reworded: dict[tuple[str, int], dict[str, str]] = {}
    numbers: dict[tuple[str, Question], int] = {}
    count = 0
    for condition in conditions(study) if only is None else only:
        asked = as_written
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
            if sample.sample_id in asked and (captions or sample.asks != "caption")
        ]
        # Corrupted pictures are shown under one condition alone.
        known = {} if condition.family == "image" else numbers
        originals = gallery.clean if ranks_clean and condition.family == "image" else {}
        sheet = _sheet(condition, gallery.under(condition), originals, chosen, known, count)
        count += sum(batch.count for batch in sheet.batches)
        yield sheet


def _sheet(
    condition: Condition,
    pictures: Mapping[str, Stored | None],
    originals: Mapping[str, Stored],
    chosen: list[tuple[str, str, Question]],
    numbers: dict[tuple[str, Question], int],
    first: int,
) -> Sheet:
    """The sheet of one condition; questions that are new are numbered.

    Batches are made up before pictures that do not exist are taken out of them, since that may be known only later,
    when pictures are made.

    Args:
        condition: the condition.
        pictures: by image id, in the order in which they are shown; None for those that do not exist.
        originals: by image id what methods look at, where that is another picture.
        chosen: (image id, sample id, question).
        numbers: of the questions asked so far about these pictures, by image id and question.
        first: number of the first new question.
    """
    place = {image_id: i for i, image_id in enumerate(pictures)}
    chosen = sorted((one for one in chosen if one[0] in place), key=lambda one: place[one[0]])
    new = list(dict.fromkeys((image_id, q) for image_id, _, q in chosen if (image_id, q) not in numbers))
    there = (key for key in new if pictures[key[0]] is not None)
    numbers.update((key, number) for number, key in enumerate(there, first))
    images = [(image_id, tuple(q for _, q in group)) for image_id, group in groupby(new, key=lambda one: one[0])]
    parts = [images[start : start + IMAGES_PER_BATCH] for start in range(0, len(images), IMAGES_PER_BATCH)]
    batches = (
        Batch(
            condition,
            tuple(
                AskedImage(image_id, picture, questions, originals.get(image_id))
                for image_id, questions in part
                if (picture := pictures[image_id]) is not None
            ),
        )
        for part in parts
    )
    answered = [one for one in chosen if pictures[one[0]] is not None]
    return Sheet(
        condition,
        tuple(batch for batch in batches if batch.images),
        tuple(sample_id for _, sample_id, _ in answered),
        tuple(numbers[image_id, question] for image_id, _, question in answered),
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
