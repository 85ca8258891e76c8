"""VQAv2's questions on COCO pictures, each with the answers of ten people.

Goyal et al., 2017 (arXiv 1612.00837). Questions and answers are two files,

    {"questions": [{"question_id": 262148000, "image_id": 262148, "question": "Where is he looking?"}, ...], ...}
    {"annotations": [{"question_id": 262148000, "image_id": 262148, "question_type": "none of the above",
                      "answer_type": "other", "multiple_choice_answer": "down",
                      "answers": [{"answer": "down", ...}, ... ten]}, ...], ...}

The answers of the test splits are on EvalAI's server alone: their questions can be answered, and a result file written
for that server (`python -m pruneproof export_results`), but not scored here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from pruneproof.benchmarks import Benchmark, Card, Need, Request
from pruneproof.benchmarks._coco import pictures_of_val2014
from pruneproof.benchmarks._official import Entry, Found, Text, listed, read_json, unique
from pruneproof.benchmarks._rephrasings import read_rephrasings
from pruneproof.benchmarks._subset import drawn, without_missing
from pruneproof.benchmarks._validation import LONGEST_DETAIL
from pruneproof.records import Sample, official_id
from pruneproof.settings import Frozen

CARD = Card(
    title="VQAv2",
    source="Goyal et al., Making the V in VQA Matter, CVPR 2017; https://visualqa.org",
    licence="Questions and answers: CC BY 4.0. Pictures: COCO, from Flickr under their owners' terms "
    "(https://cocodataset.org/#termsofuse)",
    size="val2014: 40,504 pictures, 214,354 questions, 2,143,540 answers; test2015: 447,793 questions, of which "
    "test-dev2015 107,394, without answers",
    scored_by="Accuracy over ten answers by the official script (`vqaEval.py`); answers of models are converted first "
    "as their authors do",
)

Split = Literal["val2014", "test-dev2015", "test2015"]

_FOLDER = "https://s3.amazonaws.com/cvmlp/vqa/mscoco/vqa"
_KINDS = {"yes/no": "yes_no", "number": "number", "other": "other"}


class Options(Frozen):
    """Which questions are asked, and where the files lie."""

    split: Split = "val2014"
    """`val2014` is scored. The others have no published answers: run the study up to `answer_questions`, then write a
    result file for EvalAI."""
    questions: str = "."
    """Folder of the files of questions and annotations, in `benchmark.folder`."""
    pictures: str = ""
    """Folder of the pictures, in `benchmark.folder`; empty for `val2014` or `test2015`, as the split needs."""
    rephrasings: str = ""
    """File of VQA-Rephrasings in `benchmark.folder`, for 40,504 questions of `val2014`: the perturbation
    `paraphrase_human` asks what it holds. The answers of a rephrasing are those of its question. Empty for none."""


class Question(Entry):
    """One of `questions`."""

    question_id: int
    image_id: Annotated[int, Field(ge=0)]
    question: Text


def _texts(answers: object) -> object:
    """What ten people answered, without the rest; whatever is none of that stays, to be refused as no text."""
    if not isinstance(answers, list):
        return answers
    return [given["answer"] if isinstance(given, dict) and "answer" in given else given for given in answers]


class Annotation(Entry):
    """One of `annotations`."""

    question_id: int
    image_id: int
    question_type: Text
    answer_type: Literal["yes/no", "number", "other"]
    multiple_choice_answer: Text
    answers: Annotated[list[str], BeforeValidator(_texts), Field(min_length=10, max_length=10)]
    """In the file's order."""


def needs(options: Options) -> tuple[Need, ...]:
    """The questions, their annotations if there are any, and COCO's pictures."""
    part = "Val" if options.split == "val2014" else "Test"
    found = [_zipped(_name("OpenEnded_mscoco", options.split, "questions"), f"v2_Questions_{part}_mscoco.zip", options)]
    if options.rephrasings:
        found.append(Need(options.rephrasings, "https://facebookresearch.github.io/VQA-Rephrasings/", 0))
    if options.split == "val2014":
        found.append(_zipped(_name("mscoco", options.split, "annotations"), "v2_Annotations_Val_mscoco.zip", options))
        return (*found, pictures_of_val2014(_pictures(options)))
    what = "unpack test2015.zip and let this be its folder, or a link to it"
    return (*found, Need(_pictures(options), "http://images.cocodataset.org/zips/test2015.zip", 0, what=what))


def build(request: Request, options: Options) -> Benchmark:
    """The questions on the pictures that a study takes.

    Args:
        request: how many pictures, and where the files lie; all questions on a picture that is taken are asked.
        options: which split.
    """
    file = request.folder / options.questions / _name("OpenEnded_mscoco", options.split, "questions")
    found = unique(
        listed(file, read_json(file, request.faults), Question, request.faults, "questions"),
        "question_id",
        request.faults,
    )
    if options.split == "val2014":
        answered = _annotated(found, request, options)
        found = [item for item in found if item.entry.question_id in answered]
    else:
        answered = {}
    said = _rephrased(found, request, options)
    first: dict[str, Found[Question]] = {}
    for item in found:
        first.setdefault(_picture(item.entry, options), item)
    paths = {name: f"{_pictures(options)}/{name}" for name in drawn(first, request, file)}
    there = set(without_missing(((path, first[name]) for name, path in paths.items()), request))
    paths = {name: path for name, path in paths.items() if path in there}
    return Benchmark(
        images=tuple({"image_id": name, "group": "", "file": path} for name, path in paths.items()),
        objects=(),
        samples=tuple(
            _sample(picture, item.entry, answered.get(item.entry.question_id), said.get(item.entry.question_id, ()))
            for item in found
            if (picture := _picture(item.entry, options)) in paths
        ),
    )


def results(answers: Sequence[tuple[Sample, str]], options: Options, name: str) -> tuple[str, list[dict[str, Any]]]:
    """What the official script and EvalAI read.

    Args:
        answers: of one condition, each with its text.
        options: of the study.
        name: of the model, for the file's name.

    Returns:
        The file's official name and its content.
    """
    rows = [{"question_id": int(official_id(sample)), "answer": text} for sample, text in answers]
    return f"v2_OpenEnded_mscoco_{options.split}_{name}_results.json", rows


def _annotated(questions: Sequence[Found[Question]], request: Request, options: Options) -> Mapping[int, Annotation]:
    """Annotations by question; what has no partner, or another picture, is noted."""
    file: Path = request.folder / options.questions / _name("mscoco", options.split, "annotations")
    faults = request.faults
    listing = listed(file, read_json(file, faults), Annotation, faults, "annotations")
    annotations = unique(listing, "question_id", faults)
    asked = {item.entry.question_id: item for item in questions}
    kept = {}
    for found in annotations:
        annotation = found.entry
        question = asked.get(annotation.question_id)
        if question is None:
            found.note(
                faults, f"question_id {annotation.question_id} is not among the usable questions of {options.split}"
            )
        elif question.entry.image_id != annotation.image_id:
            said = f"image_id of question {annotation.question_id} is {annotation.image_id}"
            found.note(faults, f"{said}, but {question.entry.image_id} in {question.file}, {question.place}")
        else:
            kept[annotation.question_id] = annotation
    annotated = {found.entry.question_id for found in annotations}
    for item in questions:
        if item.entry.question_id not in annotated:
            item.note(faults, f"question_id {item.entry.question_id} has no annotation that can be used in {file}")
    return kept


def _rephrased(asked: Sequence[Found[Question]], request: Request, options: Options) -> Mapping[int, tuple[str, ...]]:
    """Rephrasings by question; a file that has none for the questions of the split is noted."""
    if not options.rephrasings:
        return {}
    file = request.folder / options.rephrasings
    said = read_rephrasings(file, request.faults)
    if said and said.keys().isdisjoint(item.entry.question_id for item in asked):
        request.faults.add(file, f"rephrases no question of {options.split}: give the file that fits, or none")
    return said


def _sample(picture: str, question: Question, annotation: Annotation | None, rephrasings: tuple[str, ...]) -> Sample:
    sample = Sample(
        sample_id=f"{picture}/{question.question_id}",
        image_id=picture,
        kind="unanswered",
        question=question.question,
        answer="",
        rephrasings=rephrasings,
        scorers=(),
    )
    if annotation is None:
        return sample
    beginning = annotation.question_type
    return replace(
        sample,
        kind=_KINDS[annotation.answer_type],
        answer=annotation.multiple_choice_answer,
        detail=beginning if len(beginning) <= LONGEST_DETAIL and "/" not in beginning else "",
        scorers=("vqa",),
        answers=tuple(annotation.answers),
        facts={"question_type": beginning, "answer_type": annotation.answer_type},
    )


def _picture(question: Question, options: Options) -> str:
    return f"COCO_{_subset(options)}_{question.image_id:012d}.jpg"


def _subset(options: Options) -> str:
    """Both test splits ask about pictures of test2015."""
    return "val2014" if options.split == "val2014" else "test2015"


def _pictures(options: Options) -> str:
    return options.pictures or _subset(options)


def _name(middle: str, split: Split, what: str) -> str:
    return f"v2_{middle}_{split}_{what}.json"


def _zipped(name: str, archive: str, options: Options) -> Need:
    path = PurePosixPath(options.questions, name).as_posix()
    return Need(path, f"{_FOLDER}/{archive}", 0, what=f"unpack {archive} and put this file of it here")
