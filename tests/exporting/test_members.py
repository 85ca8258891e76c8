"""What is written, against official entries and cases worked by hand."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pruneproof.benchmarks import Benchmark, build
from pruneproof.benchmarks._coco_masks import mask_of
from pruneproof.benchmarks.scenes import CARD
from pruneproof.exporting import coco, gqa, pope, vqav2
from pruneproof.settings import BenchmarkSettings


@pytest.fixture(scope="module")
def scenes() -> Benchmark:
    return build(BenchmarkSettings(images=3), 11, Path())


def content(files: Mapping[str, bytes], path: str) -> Any:
    return json.loads(files[path])


def test_lines_of_pope_hold_what_official_ones_hold(scenes: Benchmark) -> None:
    lines = pope.export(scenes).files["coco/coco_pope_popular.json"].decode().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [list(row) for row in rows] == [["question_id", "image", "text", "label"]] * 18
    assert [row["question_id"] for row in rows] == list(range(1, 19))
    assert {row["label"] for row in rows} == {"yes", "no"}
    assert rows[-1]["image"] == "COCO_val2014_000000000002.png"


def test_drawings_have_the_licence_of_this_project(scenes: Benchmark) -> None:
    licence = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["license"]
    assert CARD.licence == f"{licence}, as this project"
    questions = json.loads(vqav2.export(scenes).files["v2_OpenEnded_mscoco_val2014_questions.json"])
    assert questions["license"] == {"name": licence}
    objects = json.loads(coco.export(scenes).files["annotations/instances_val2014.json"])
    assert objects["licenses"] == [{"id": 1, "name": licence}]


def test_ten_people_answer_each_question_of_vqav2_once(scenes: Benchmark) -> None:
    files = vqav2.export(scenes).files
    asked = content(files, "v2_OpenEnded_mscoco_val2014_questions.json")["questions"]
    given = content(files, "v2_mscoco_val2014_annotations.json")["annotations"]
    assert len({(row["image_id"], row["question"]) for row in asked}) == len(asked)
    assert len({row["question_id"] for row in asked}) == len(asked)
    assert [row["question_id"] for row in given] == [row["question_id"] for row in asked]
    for row in given:
        assert row["question_id"] // 1000 == row["image_id"]
        assert [answer["answer_id"] for answer in row["answers"]] == list(range(1, 11))
        assert {answer["answer"] for answer in row["answers"]} == {row["multiple_choice_answer"]}
    assert {row["answer_type"] for row in given} == {"yes/no", "number", "other"}


@pytest.mark.parametrize(
    ("question", "beginning"),
    [
        ("How many people are in the boat?", "how many people are in"),
        ("How many peopled boats are there?", "how many"),
        ("What color is the kite?", "what color is the"),
        ("Is there an oven in the image?", "is there"),
        ("Which?", "none of the above"),
        ("Name the colour of the kite here.", "none of the above"),
    ],
)
def test_the_type_of_a_question_is_the_longest_official_beginning(question: str, beginning: str) -> None:
    assert vqav2.question_type(question) == beginning


def test_questions_of_gqa_are_taken_apart(scenes: Benchmark) -> None:
    """Each question's words, answer and sentence fit its steps; sides in words that left and right can be told by."""
    entries = content(gqa.export(scenes).files, "questions/testdev_balanced_questions.json")
    assert {entry["types"]["structural"] for entry in entries.values()} == {"query", "verify", "choose", "compare"}
    for key, entry in entries.items():
        structural, semantic = entry["types"]["structural"], entry["types"]["semantic"]
        last, said = entry["semantic"][-1], entry["fullAnswer"]
        assert entry["equivalent"] == [key]
        for step in entry["semantic"]:
            if step["operation"] == "select":
                assert f" {step['argument'].split(' (')[0]}" in entry["question"]
        if structural in ("verify", "compare"):
            assert said.startswith(f"{entry['answer'].capitalize()}, ")
        elif structural == "query":
            assert said.endswith(f" is {entry['answer']}.")
        else:
            assert entry["answer"] in said
        if semantic == "rel" and structural == "verify":
            claimed = last["argument"].split(",")[1]
            assert claimed in entry["question"]
            assert (claimed in said) == (entry["answer"] == "yes")
        places = [row[0] for row in [step["dependencies"] for step in entry["semantic"]] if row]
        assert max(places) < len(entry["semantic"])


@given(arrays(np.bool_, st.tuples(st.integers(1, 7), st.integers(1, 7))))
def test_runs_are_read_as_the_mask_that_they_were_made_of(mask: Any) -> None:
    height, width = mask.shape
    found = mask_of({"counts": coco.runs(mask), "size": [height, width]}, width, height)
    assert (found == mask).all()


def test_runs_start_outside() -> None:
    """By hand: column by column, first a run of pixels outside, which may be empty."""
    mask = np.array([[True, False, True], [False, False, True]])
    assert coco.runs(mask) == [0, 1, 3, 2]


def test_objects_of_coco_are_where_their_outlines_are(scenes: Benchmark) -> None:
    files = coco.export(scenes).files
    instances = content(files, "annotations/instances_val2014.json")
    assert len(instances["annotations"]) == len(scenes.objects)
    for row in instances["annotations"]:
        mask = mask_of(row["segmentation"], 224, 224)
        left, top, wide, high = (int(value) for value in row["bbox"])
        assert mask[top : top + high, left : left + wide].sum() == mask.sum() == row["area"]
        assert mask[top].any()
        assert mask[:, left + wide - 1].any()
    names = {row["id"]: row["name"] for row in instances["categories"]}
    assert names == dict(enumerate(scenes.shared["vocabulary"], start=1))
    captions = content(files, "annotations/captions_val2014.json")
    assert [row["image_id"] for row in captions["annotations"]] == [row["id"] for row in captions["images"]]
