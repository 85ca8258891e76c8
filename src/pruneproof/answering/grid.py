"""The grid: which conditions a study has, and what is asked on which image under each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pruneproof.answering import dialogues
from pruneproof.backbones import History
from pruneproof.errors import PruneProofError
from pruneproof.files import read_rows
from pruneproof.folders import Folders
from pruneproof.perturbations.images.stage import image_conditions
from pruneproof.perturbations.text import conditions as text_conditions
from pruneproof.records import CLEAN, Condition, Sample, sample_from_row
from pruneproof.seeds import generator
from pruneproof.settings import BackboneSettings, Study

IMAGES_PER_BATCH = 10
"""Images of one batch: what a kill can cost, and a fixed number, so that no answer depends on the number of workers."""


@dataclass(frozen=True, slots=True)
class Question:
    """One text asked once, for all samples that ask it."""

    text: str
    """The question as perturbed."""
    caption: bool
    sample_ids: tuple[str, ...]
    history: History = ()
    """Earlier turns of the dialogue."""
    selecting: str = ""
    """The question that a method selects tokens by; empty for this one."""


@dataclass(frozen=True, slots=True)
class AskedImage:
    """An image under a condition and everything that is asked on it."""

    image_id: str
    png: bytes
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some images under one condition: the unit of work and of storage."""

    condition: Condition
    images: tuple[AskedImage, ...]


def conditions(study: Study) -> tuple[Condition, ...]:
    """Clean first, then image conditions, text conditions, and dialogues."""
    perturbations = study.perturbations
    return (
        CLEAN,
        *image_conditions(perturbations.image),
        *text_conditions(perturbations.text),
        *dialogues.conditions(study.answering.dialogues),
    )


def prompt_text(question: Question, settings: BackboneSettings) -> str:
    """What is put into the chat template: the question with the checkpoint's suffix, or its own caption prompt."""
    if question.caption:
        return settings.caption_prompt or question.text
    return _with_suffix(question.text, settings)


def prompt_history(question: Question, settings: BackboneSettings) -> History:
    """Earlier turns, their questions with the suffix too."""
    return tuple((_with_suffix(asked, settings), answer) for asked, answer in question.history)


def _with_suffix(text: str, settings: BackboneSettings) -> str:
    return f"{text}\n{settings.question_suffix}" if settings.question_suffix else text


def batches(study: Study, folders: Folders, only: Sequence[Condition] | None = None) -> Iterator[Batch]:
    """The batches of one backbone and method, which are the same for every backbone and method.

    Args:
        study: the settings.
        folders: where the inputs are; only those of the conditions asked for are read.
        only: conditions to give; None for all.

    Raises:
        PruneProofError: if an input is missing, or no image has as many questions as a dialogue has turns.
    """
    samples = [sample_from_row(row) for row in read_rows(folders.benchmark / "samples.parquet")]
    clean = {
        row["image_id"]: row["png"] for row in read_rows(folders.benchmark / "images.parquet", ["image_id", "png"])
    }
    reworded: dict[tuple[str, int], dict[str, str]] = {}
    for condition in conditions(study) if only is None else only:
        pictures = clean
        if condition.family == "image":
            rows = read_rows(folders.corrupted / f"{condition.condition_id}.parquet", ["image_id", "png"])
            pictures = {row["image_id"]: row["png"] for row in rows if row["png"] is not None}
        asked = {s.sample_id: dialogues.Turn(s.question, (), "") for s in samples}
        if condition.family == "text":
            reworded = reworded or _reworded(folders)
            texts = reworded.get((condition.perturbation, condition.severity), {})
            asked = {name: dialogues.Turn(text, (), "") for name, text in texts.items()}
        elif condition.family == "dialogue":
            asked = _in_turn(study, condition, samples)
        captions = condition.condition_id in study.answering.caption_conditions
        yield from _of_condition(condition, pictures, samples, asked, captions)


def _reworded(folders: Folders) -> dict[tuple[str, int], dict[str, str]]:
    """Accepted texts by (perturbation, severity) and sample."""
    columns = ["sample_id", "perturbation", "severity", "text", "accepted"]
    found: dict[tuple[str, int], dict[str, str]] = {}
    for row in read_rows(folders.reworded / "questions.parquet", columns):
        if row["accepted"]:
            found.setdefault((row["perturbation"], row["severity"]), {})[row["sample_id"]] = row["text"]
    return found


def _in_turn(study: Study, condition: Condition, samples: list[Sample]) -> dict[str, dialogues.Turn]:
    """Each sample as the condition's turn of a dialogue on its image."""
    found: dict[str, dialogues.Turn] = {}
    of_image: dict[str, list[Sample]] = {}
    for sample in samples:
        of_image.setdefault(sample.image_id, []).append(sample)
    settings = study.answering.dialogues
    chosen = dialogues.select_by(settings, condition)
    for image_id, own in of_image.items():
        rng = generator(study.study.seed, "dialogues", image_id)
        in_turn = dialogues.in_turn(own, condition.severity, settings.turns, chosen, rng)
        found |= {sample.sample_id: turn for sample, turn in in_turn}
    if not found:
        raise PruneProofError(
            f"answering.dialogues.turns is {settings.turns}, but no image has so many different questions: "
            "lower it, or leave `select_by` empty"
        )
    return found


def _of_condition(
    condition: Condition,
    pictures: dict[str, bytes],
    samples: list[Sample],
    asked: dict[str, dialogues.Turn],
    captions: bool,
) -> Iterator[Batch]:
    on_image: dict[str, dict[tuple[dialogues.Turn, bool], list[str]]] = {image_id: {} for image_id in pictures}
    for sample in samples:
        is_caption = sample.kind == "caption"
        if sample.image_id in on_image and sample.sample_id in asked and (captions or not is_caption):
            key = (asked[sample.sample_id], is_caption)
            on_image[sample.image_id].setdefault(key, []).append(sample.sample_id)
    images = [
        AskedImage(
            image_id,
            pictures[image_id],
            tuple(
                Question(turn.question, is_caption, tuple(ids), turn.history, turn.selecting)
                for (turn, is_caption), ids in questions.items()
            ),
        )
        for image_id, questions in on_image.items()
        if questions
    ]
    for start in range(0, len(images), IMAGES_PER_BATCH):
        yield Batch(condition, tuple(images[start : start + IMAGES_PER_BATCH]))
