"""GQA: questions made from scene graphs, each a chain of reasoning steps with one answer.

Hudson and Manning, 2019 (arXiv 1902.09506). A file of questions is a mapping from ids to

    {"imageId": "n161313", "question": "Is it overcast?", "answer": "no", "fullAnswer": "No, it is clear.",
     "isBalanced": true, "types": {"structural": "verify", "semantic": "global", "detailed": "weatherVerify"},
     "groups": {"global": null, "local": "13-weather_overcast"}, "entailed": ["02930160"],
     "semantic": [{"operation": "select", "argument": "scene", "dependencies": []}, ...], ...}

`<split>_balanced_questions.json` has the questions that accuracy is about; `<split>_all_questions.json` has them too,
and those that consistency needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from pruneproof.benchmarks import Benchmark, Card, Need, Request
from pruneproof.benchmarks._faults import Faults
from pruneproof.benchmarks._gqa_facts import facts
from pruneproof.benchmarks._official import Entry, FileName, Found, Text, keyed, read_json
from pruneproof.benchmarks._subset import drawn, without_missing
from pruneproof.benchmarks._validation import LONGEST_DETAIL
from pruneproof.records import Sample, official_id
from pruneproof.settings import Frozen

CARD = Card(
    title="GQA",
    source="Hudson and Manning, GQA: A New Dataset for Real-World Visual Reasoning and Compositional Question "
    "Answering, CVPR 2019; https://cs.stanford.edu/people/dorarad/gqa",
    licence="Questions: CC BY 4.0. Pictures: Visual Genome (CC BY 4.0) and COCO, from Flickr under their owners' terms",
    size="testdev: 398 pictures, 12,578 balanced questions; val: 10,234 pictures, 132,062 balanced questions",
    scored_by="Accuracy and, where its files are there, consistency, validity and plausibility by the official script "
    "(`eval.py`), which compares raw strings; answers of models are converted first as their authors do",
)

ENTAILED = "entailed"
"""Kind of the questions that are asked for the sake of consistency alone, and count in no other score."""

_FOLDER = "https://downloads.cs.stanford.edu/nlp/data/gqa"


class Options(Frozen):
    """Which questions are asked, and where the files lie."""

    split: Literal["testdev", "val"] = "testdev"
    consistency: bool = False
    """Also ask the questions whose answers follow from a balanced one's; the score needs them. They come from
    `<split>_all_questions.json`, which then is the only file of questions that is read. That of `val` has two million
    of them, which take about 4 kB of memory each, 8 GB in all, while it is read."""
    choices: str = ""
    """Path of `val_choices.json` in `benchmark.folder`, for validity and plausibility; it is published for `train` and
    `val` alone. Empty leaves both out."""
    questions: str = "questions"
    """Folder of the file of questions, in `benchmark.folder`."""
    pictures: str = "images"
    """Folder of the pictures, in `benchmark.folder`."""


class Types(Entry):
    """What sort of question it is."""

    structural: Literal["query", "verify", "logical", "choose", "compare"]
    semantic: Text
    detailed: Text


class Groups(Entry):
    """Which questions it is like."""

    everywhere: str | None = Field(alias="global")


class Step(Entry):
    """One operation of the reasoning."""

    operation: Text
    argument: str


class Question(Entry):
    """The value of a question's id; names are the files' own, which the scorer's `facts` reads, too."""

    imageId: FileName
    question: Text
    answer: Text
    isBalanced: bool
    types: Types
    groups: Groups
    semantic: list[Step]
    entailed: list[str]


class Choices(Entry):
    """The value of a question's id in a file of choices."""

    valid: list[str]
    plausible: list[str]


def needs(options: Options) -> tuple[Need, ...]:
    """The questions, the choices if they are wanted, and the pictures."""
    found = [
        Need(
            _questions(options), f"{_FOLDER}/questions1.2.zip", 0, what="unpack questions1.2.zip and put this file here"
        )
    ]
    if options.choices:
        found.append(
            Need(options.choices, f"{_FOLDER}/eval.zip", 0, what="unpack eval.zip and put this file of it here")
        )
    what = "unpack images.zip (20 GB) and let this be its folder, or a link to it; pictures that are not asked about "
    return (*found, Need(options.pictures, f"{_FOLDER}/images.zip", 0, what=f"{what}may be left out"))


def build(request: Request, options: Options) -> Benchmark:
    """The questions on the pictures that a study takes.

    Args:
        request: how many pictures, and where the files lie; all questions on a picture that is taken are asked.
        options: which split, and what else is read.
    """
    faults = request.faults
    file = request.folder / _questions(options)
    found = {item.key: item for item in keyed(file, read_json(file, faults), Question, faults)}
    balanced = {key: item for key, item in found.items() if item.entry.isBalanced}
    if found and not balanced:
        faults.add(file, "has no balanced question (isBalanced): is it the right file?")
    first: dict[str, Found[Question]] = {}
    for item in balanced.values():
        first.setdefault(item.entry.imageId, item)
    paths = {image: f"{options.pictures}/{image}.jpg" for image in drawn(first, request, file)}
    there = set(without_missing(((path, first[image]) for image, path in paths.items()), request))
    paths = {image: path for image, path in paths.items() if path in there}
    asked = {key: item for key, item in balanced.items() if item.entry.imageId in paths}
    choices = _choices(asked, request, options) if options.choices else {}
    if options.choices:
        asked = {key: item for key, item in asked.items() if key in choices}
    if options.consistency:
        others = {key: item for key, item in found.items() if key not in balanced}
        asked = _with_entailed(asked, asked | others, faults)
    return Benchmark(
        images=tuple({"image_id": image, "group": "", "file": path} for image, path in paths.items()),
        objects=(),
        samples=tuple(_sample(key, item.entry, choices.get(key)) for key, item in asked.items()),
    )


def results(answers: Sequence[tuple[Sample, str]], options: Options, name: str) -> tuple[str, list[dict[str, Any]]]:
    """What the official script reads.

    Args:
        answers: of one condition, each with its text.
        options: of the study.
        name: of the model; the official name has no place for it.

    Returns:
        The file's official name and its content.
    """
    rows = [{"questionId": official_id(sample), "prediction": text} for sample, text in answers]
    return f"{options.split}_predictions.json", rows


def _questions(options: Options) -> str:
    return f"{options.questions}/{options.split}_{'all' if options.consistency else 'balanced'}_questions.json"


def _with_entailed(
    asked: Mapping[str, Found[Question]], found: Mapping[str, Found[Question]], faults: Faults
) -> dict[str, Found[Question]]:
    """The questions and those that they entail; one that entails what cannot be asked is noted and left out."""
    kept: dict[str, Found[Question]] = {}
    entailed: dict[str, Found[Question]] = {}
    for key, item in asked.items():
        follow = {other: found.get(other) for other in item.entry.entailed if other != key}
        for other, question in follow.items():
            if question is None:
                item.note(faults, f"entails {other!r}, which is not among the usable questions of the file")
            elif question.entry.imageId != item.entry.imageId:
                item.note(faults, f"entails {other!r}, which is about another picture, {question.entry.imageId!r}")
            else:
                continue
            break
        else:
            kept[key] = item
            entailed |= {other: question for other, question in follow.items() if question is not None}
    return kept | {other: question for other, question in entailed.items() if other not in kept}


def _choices(
    asked: Mapping[str, Found[Question]], request: Request, options: Options
) -> dict[str, Mapping[str, Sequence[str]]]:
    """Choices of each question that has any; the others are noted."""
    file = request.folder / options.choices
    found = {item.key: item.entry for item in keyed(file, read_json(file, request.faults), Choices, request.faults)}
    for key, item in asked.items():
        if key not in found:
            item.note(request.faults, f"has no choices that can be used in {file}")
    return {key: found[key].model_dump() for key in asked if key in found}


def _sample(key: str, question: Question, choices: Mapping[str, Sequence[str]] | None) -> Sample:
    semantic = question.types.semantic
    return Sample(
        sample_id=f"{question.imageId}/{key}",
        image_id=question.imageId,
        kind=question.types.structural if question.isBalanced else ENTAILED,
        question=question.question,
        answer=question.answer,
        detail=semantic if len(semantic) <= LONGEST_DETAIL and "/" not in semantic else "",
        scorers=("gqa",),
        facts=facts(key, question.model_dump(by_alias=True), choices),
    )
