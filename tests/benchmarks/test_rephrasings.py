"""VQA-Rephrasings' file, written as its authors publish it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pruneproof.benchmarks._faults import Faults
from pruneproof.benchmarks._rephrasings import read_rephrasings
from pruneproof.errors import PruneProofError

ORIGINAL = {"image_id": 42, "question": "What color is the plant?", "question_id": 42000}
FIRST = {"image_id": 42, "question": "The plant is what color?", "question_id": 420001, "rephrasing_of": 42000}
OTHER = {"image_id": 420, "question": "How many signs?", "question_id": 420001}


def read(folder: Path, questions: list[dict[str, Any]]) -> tuple[dict[int, tuple[str, ...]], list[str]]:
    file = folder / "rephrasings.json"
    file.write_text(json.dumps({"info": {"version": "2.0"}, "data_type": "mscoco", "questions": questions}))
    faults = Faults()
    return dict(read_rephrasings(file, faults)), [line.removeprefix(f"{file}: ") for line in faults.lines]


def test_each_question_has_its_rephrasings_in_order_whatever_their_ids(tmp_path):
    second = FIRST | {"question": "What is the plant's color?", "question_id": 420002}
    assert read(tmp_path, [FIRST, OTHER, second, ORIGINAL, FIRST | {"image_id": 9, "rephrasing_of": 9000}]) == (
        {42000: ("The plant is what color?", "What is the plant's color?"), 9000: ("The plant is what color?",)},
        [],
    )


@pytest.mark.parametrize("question", ["", " ", "?"])
def test_a_rephrasing_that_says_nothing_is_left_out(tmp_path, question):
    assert read(tmp_path, [ORIGINAL, FIRST | {"question": question}, FIRST]) == ({42000: (FIRST["question"],)}, [])


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"rephrasing_of": "42000"}, "questions entry 2: rephrasing_of is '42000': should be a valid integer"),
        ({"question": None}, "questions entry 2: question is None: should be a valid string"),
        ({"image_id": 43}, "questions entry 2: image_id is 43, but question 42000 is about 42"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, changed, fault):
    said, (line,) = read(tmp_path, [ORIGINAL, FIRST | changed, FIRST])
    assert said == {42000: (FIRST["question"],)}
    assert line == fault


def test_vqav2s_own_questions_are_not_taken_for_rephrasings(tmp_path):
    said, (fault,) = read(tmp_path, [ORIGINAL, OTHER])
    assert said == {}
    assert fault.startswith("has no entry with `rephrasing_of`")


def test_another_file_is_refused(tmp_path):
    (tmp_path / "other.json").write_text('{"annotations": []}')
    with pytest.raises(PruneProofError, match="is it the right file"):
        read_rephrasings(tmp_path / "other.json", Faults())
