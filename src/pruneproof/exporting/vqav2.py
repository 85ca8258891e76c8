"""VQAv2's questions and annotations of val2014, as visualqa.org publishes them.

All ten people give the scenes' answer. So the official rule compares raw text, and takes neither `three` for 3 nor
`Red.` for red, as the scenes' own does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pruneproof.benchmarks import Benchmark
from pruneproof.benchmarks.scenes.benchmark import LICENCE
from pruneproof.exporting import Export, once
from pruneproof.exporting._files import INFO, coco_name, numbers, to_json
from pruneproof.records import Sample

READERS: Mapping[str, Mapping[str, Any]] = {"vqav2": {"split": "val2014"}}

_PEOPLE = 10

_OTHER_TYPE = "none of the above"
_TYPES = frozenset(
    """
    how many; is the; what; what color is the; what is the; is this; is this a; what is; are the; what kind of;
    is there a; what type of; is it; what are the; where is the; is there; does the; what color are the; are these;
    are there; which; is; what is the man; is the man; are; how; does this; what is on the; what does the;
    how many people are; what is in the; what is this; do; what are; are they; what time; what sport is; are there any;
    is he; what color is; why; where are the; what color; who is; what animal is; is the woman; is this an; do you;
    how many people are in; what room is; has; is this person; what is the woman; can you; why is the; is the person;
    what is the color of the; what is the person; could; was; is that a; what number is; what is the name; what brand
    """.replace("\n    ", " ").strip().split("; ")
)  # fmt: skip
"""Beginnings of questions that results are broken down by (GT-Vision-Lab/VQA `mscoco_question_types.txt`)."""


def question_type(question: str) -> str:
    """The longest of the official beginnings that a question has.

    Examples:
        >>> question_type("What colour is the kite?"), question_type("Tell me how many boats you see.")
        ('what', 'none of the above')
    """
    words = question.lower().split()
    beginnings = (" ".join(words[:count]) for count in range(len(words), 0, -1))
    return next((beginning for beginning in beginnings if beginning in _TYPES), _OTHER_TYPE)


def export(scenes: Benchmark) -> Export:
    """Questions, annotations and, in `val2014`, pictures; captions are left out, and every question is there once."""
    number_of = numbers(scenes)
    files = {f"val2014/{coco_name(number_of[row['image_id']], 'jpg')}": row["png"] for row in scenes.images}
    samples = tuple(once(scenes.samples))
    asked: Counter[str] = Counter()
    questions, annotations = [], []
    for sample in samples:
        number = number_of[sample.image_id]
        ids = {"image_id": number, "question_id": 1000 * number + asked[sample.image_id]}
        asked[sample.image_id] += 1
        questions.append({**ids, "question": sample.question})
        annotations.append({**ids, **_annotation(sample)})
    head = {"info": INFO, "license": {"name": LICENCE}, "data_type": "mscoco", "data_subtype": "val2014"}
    files["v2_OpenEnded_mscoco_val2014_questions.json"] = to_json(
        {**head, "task_type": "Open-Ended", "questions": questions}
    )
    files["v2_mscoco_val2014_annotations.json"] = to_json({**head, "annotations": annotations})
    return Export(files, samples)


def _annotation(sample: Sample) -> dict[str, Any]:
    answers = [
        {"answer": sample.answer, "answer_confidence": "yes", "answer_id": person} for person in range(1, _PEOPLE + 1)
    ]
    return {
        "question_type": question_type(sample.question),
        "answer_type": _answer_type(sample.answer),
        "multiple_choice_answer": sample.answer,
        "answers": answers,
    }


def _answer_type(answer: str) -> str:
    if answer in ("yes", "no"):
        return "yes/no"
    return "number" if answer.isdigit() else "other"
