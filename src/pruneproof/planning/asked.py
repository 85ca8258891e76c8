"""How many pictures a study shows and how much it asks of them, condition by condition, before anything is run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from pruneproof import benchmarks, published, space
from pruneproof.answering import dialogues
from pruneproof.answering.grid import conditions, sheets
from pruneproof.errors import PruneProofError
from pruneproof.files import read_rows
from pruneproof.folders import Folders
from pruneproof.plurals import number_of
from pruneproof.records import Condition, Sample, sample_from_row
from pruneproof.settings import Study

LOOK_AHEAD_IMAGES = 8
"""Scenes that are drawn to count questions on, where none are drawn yet."""
SOME_QUESTIONS = 200
"""Questions by whose words the length of prompts is estimated."""
_KNOWN_QUESTION = "Is there a dining table in the image?"
"""A question of the length of those of the known sets, whose own are not here."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What one condition asks that no earlier one has asked."""

    condition: Condition
    pictures: float
    questions: float
    """On all pictures together, captions left out."""
    captions: float = 0.0
    turns: int = 0
    """Earlier turns of a dialogue before each question."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Everything that is asked."""

    conditions: tuple[Asked, ...]
    rows: float
    """Questions on clean pictures as the benchmark counts them, repeated ones each time."""
    examples: tuple[str, ...]
    """Some of the questions."""
    answers: tuple[str, ...]
    """True answers to some."""
    captions: tuple[str, ...]
    """Some descriptions, where the benchmark has them."""
    source: str
    """Where the numbers come from."""

    @property
    def pictures(self) -> float:
        """Of the benchmark."""
        return max((one.pictures for one in self.conditions), default=0.0)

    @property
    def questions(self) -> float:
        """Different ones on clean pictures."""
        return self.conditions[0].questions

    def of(self, images: float) -> Asking:
        """The same for another number of pictures."""
        times = images / self.pictures if self.pictures else 0.0
        scaled = (
            replace(one, pictures=one.pictures * times, questions=one.questions * times, captions=one.captions * times)
            for one in self.conditions
        )
        return replace(self, conditions=tuple(scaled), rows=self.rows * times)


NOTHING = Asking((), 0, (_KNOWN_QUESTION,), ("yes",), (), "nothing")
"""Where only the length of a usual question matters."""


def asking_of(study: Study, folders: Folders, by_question: bool) -> Asking:
    """What a study asks: counted in its tables where they are made, else on the benchmark's files, else as published.

    Args:
        study: the settings.
        folders: where its tables and files lie.
        by_question: for methods that look at the question, which are asked more in dialogues.

    Raises:
        PruneProofError: if its files cannot be read, and its size is not known.
    """
    made = (folders.corrupted / "manifest.json", folders.reworded / "manifest.json")
    if all(path.exists() for path in (folders.benchmark / "samples.parquet", *made)):
        return _counted(study, folders, by_question)
    drawn = study.benchmark.name == "scenes"
    images = space.images_of(study, folders)
    try:
        count = min(images, LOOK_AHEAD_IMAGES) if drawn else None
        found = benchmarks.build(study.benchmark, study.study.seed, folders.study, count)
    except PruneProofError:
        known = published.SETS.get(study.benchmark.name)
        if known is None:
            raise
        return _expected(study, images, known, by_question, f"the published size of {study.benchmark.name}")
    asked = [sample for sample in found.samples if sample.asks != "caption"]
    captions = [sample for sample in found.samples if sample.asks == "caption"]
    shown = len(found.images)
    size = published.Set(images, _different(asked) / shown, _different(captions) / shown, rows=len(asked) / shown)
    source = f"{number_of(shown, 'image')} made for this estimate" if drawn else "the benchmark's files"
    whole = _expected(study, images, size, by_question, source)
    return replace(whole, examples=_examples(asked), answers=_answers(asked), captions=_told(captions))


def _counted(study: Study, folders: Folders, by_question: bool) -> Asking:
    """From the tables that answering reads."""
    found, rows, examples = list[Asked](), 0, list[str]()
    for sheet in sheets(study, folders, by_question):
        questions = [(q, q.caption) for batch in sheet.batches for image in batch.images for q in image.questions]
        asked = [question for question, caption in questions if not caption]
        history = len(asked[0].history) if asked and sheet.condition.family == "dialogue" else 0
        shown = sum(len(batch.images) for batch in sheet.batches)
        found.append(Asked(sheet.condition, shown, len(asked), len(questions) - len(asked), history))
        rows = rows or len(sheet.samples)
        examples += [question.text for question in asked[: SOME_QUESTIONS - len(examples)]]
    samples = [sample_from_row(row) for row in read_rows(folders.benchmark / "samples.parquet")]
    return Asking(tuple(found), rows, tuple(examples), _answers(samples), _told(samples), "the study's tables")


def _expected(study: Study, images: int, size: published.Set, by_question: bool, source: str) -> Asking:
    """From numbers a picture: all questions are taken to be reworded, which is the most."""
    captions = study.answering.caption_conditions
    found: list[Asked] = []
    for condition in conditions(study):
        described = images * size.captions if condition.condition_id in captions else 0.0
        if condition.family != "dialogue":
            found.append(Asked(condition, images, images * size.answers, described))
            continue
        chosen, turns = dialogues.select_by(study.answering.dialogues, condition), condition.severity - 1
        # A dialogue begins with a single question, and without a look at the question it is the same for each choice.
        first = chosen == study.answering.dialogues.select_by[0]
        new = (turns > 0 or chosen == "last") if by_question else (turns > 0 and first)
        found.append(Asked(condition, images * new, images * size.answers * new, 0.0, turns))
    return Asking(tuple(found), images * (size.rows or size.answers), (_KNOWN_QUESTION,), ("yes",), (), source)


def _different(samples: Iterable[Sample]) -> int:
    """A question of several POPE splits counts once."""
    return len({(sample.image_id, sample.question) for sample in samples})


def _examples(samples: Sequence[Sample]) -> tuple[str, ...]:
    return tuple(sample.question for sample in samples[:SOME_QUESTIONS]) or (_KNOWN_QUESTION,)


def _answers(samples: Sequence[Sample]) -> tuple[str, ...]:
    known = (sample.answer for sample in samples if sample.answer and sample.asks != "caption")
    return tuple(islice(known, SOME_QUESTIONS)) or ("yes",)


def _told(samples: Sequence[Sample]) -> tuple[str, ...]:
    return tuple(islice((s.answer for s in samples if s.answer and s.asks == "caption"), SOME_QUESTIONS))
