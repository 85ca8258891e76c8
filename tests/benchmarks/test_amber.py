"""AMBER's files as their authors publish them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pruneproof.benchmarks import Benchmark, Request, amber
from pruneproof.errors import PruneProofError
from pruneproof.records import official_id
from pruneproof.scoring.scorers import Truth
from pruneproof.scoring.scorers import amber as rule

QUERIES, ANNOTATIONS = "data/query/query_all.json", "data/annotations.json"

ROWS = (
    (1, 1, "Describe this image.", "generative", ["sky", "forest"]),
    (1005, 1, "Is the sky sunny in this image?", "discriminative-attribute-state", "yes"),
    (1006, 1, "Are there four people in this image?", "discriminative-attribute-number", "no"),
    (1007, 2, "Does the man sit in this image?", "discriminative-attribute-action", "yes"),
    (1008, 1, "Is there a hot dog in this image?", "discriminative-hallucination", "no"),
    (1009, 1, "Is there an umbrella in this image?", "discriminative-hallucination", "no"),
    (1010, 2, "Is there direct contact between the man and ship?", "discriminative-relation", "yes"),
    (1011, 2, "Is there direct contact between the man and lake?", "relation", "no"),
)


def lists() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    queries = [{"id": row, "image": f"AMBER_{image}.jpg", "query": text} for row, image, text, _, _ in ROWS]
    annotations: list[dict[str, Any]] = [{"id": row, "type": kind, "truth": truth} for row, _, _, kind, truth in ROWS]
    annotations[0]["hallu"] = ["tree"]
    return queries, annotations


def written(folder: Path, queries: Any, annotations: Any) -> Path:
    (folder / "data" / "query").mkdir(parents=True)
    (folder / QUERIES).write_text(json.dumps(queries))
    (folder / ANNOTATIONS).write_text(json.dumps(annotations))
    (folder / "image").mkdir()
    for number in (1, 2):
        (folder / "image" / f"AMBER_{number}.jpg").touch()
    return folder


def built(folder: Path, images: Any = "all", **options: Any) -> tuple[Benchmark, list[str]]:
    request = Request(images, 0, folder)
    return amber.build(request, amber.Options(**options)), request.faults.lines


def test_questions(tmp_path: Path) -> None:
    found, faults = built(written(tmp_path, *lists()))
    assert faults == []
    assert [row["file"] for row in found.images] == ["image/AMBER_1.jpg", "image/AMBER_2.jpg"]
    assert [(int(official_id(sample)), sample.kind, sample.detail, sample.answer) for sample in found.samples] == [
        (1005, "attribute", "state", "yes"),
        (1006, "attribute", "number", "no"),
        (1007, "attribute", "action", "yes"),
        (1008, "existence", "", "no"),
        (1009, "existence", "", "no"),
        (1010, "relation", "", "yes"),
        (1011, "relation", "", "no"),
    ]
    dog = found.samples[3]
    assert (dog.sample_id, dog.target, dog.answers) == ("AMBER_1.jpg/1008", "hot dog", ("No",))
    assert dog.facts == {"dimension": "existence"}
    assert found.samples[0].facts == {"dimension": "attribute", "attribute": "state"}
    assert found.samples[0].absent == ("a hot dog", "an umbrella")
    assert found.samples[-1].absent == ()
    assert {sample.scorers for sample in found.samples} == {("amber",)}


def test_the_true_answer_is_right(tmp_path: Path) -> None:
    for sample in built(written(tmp_path, *lists()))[0].samples:
        truth = Truth(sample.truths, sample.facts)
        assert rule.mark(rule.read(sample.truths[0], truth).prediction, truth) == 1


def test_dimensions_and_subsets(tmp_path: Path) -> None:
    written(tmp_path, *lists())
    found, faults = built(tmp_path, dimensions=("relation",))
    assert faults == []
    assert [row["image_id"] for row in found.images] == ["AMBER_2.jpg"]
    assert len(found.samples) == 2
    taken = {}
    for seed in range(12):
        found = amber.build(Request(1, seed, tmp_path), amber.Options())
        taken[found.images[0]["image_id"]] = len(found.samples)
    assert taken == {"AMBER_1.jpg": 4, "AMBER_2.jpg": 3}


def test_what_it_reads() -> None:
    assert [need.path for need in amber.needs(amber.Options())] == [QUERIES, ANNOTATIONS, "image"]


def test_the_file_that_the_script_reads(tmp_path: Path) -> None:
    found, _ = built(written(tmp_path, *lists()))
    name, rows = amber.results([(found.samples[0], "Yes")], amber.Options(), "llava15")
    assert (name, rows) == ("amber_llava15.json", [{"id": 1005, "response": "Yes"}])


@pytest.mark.parametrize(
    ("which", "change", "message"),
    [
        (0, {"query": ""}, f"{QUERIES}: entry 2: query is '': must not be empty"),
        (0, {"image": "a/b.jpg"}, f"{QUERIES}: entry 2: image is 'a/b.jpg': "),
        (0, {"id": 1}, f"{QUERIES}: entry 2: id 1 is that of entry 1"),
        (1, {"id": 77}, f"{ANNOTATIONS}: entry 2: id 77 is not among the usable questions of "),
        (1, {"type": "odd"}, f"{ANNOTATIONS}: entry 2: type is 'odd'; allowed: "),
        (1, {"truth": "maybe"}, f"{ANNOTATIONS}: entry 2: truth of question 1005 is 'maybe'; allowed: 'yes' or 'no'"),
        (
            1,
            {"truth": ["sky"]},
            f"{ANNOTATIONS}: entry 2: truth of question 1005 is ['sky']; allowed: 'yes' or 'no'",
        ),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, which: int, change: dict[str, Any], message: str) -> None:
    both = lists()
    both[which][1] |= change
    found, faults = built(written(tmp_path, *both))
    assert faults[0].startswith(f"{tmp_path}/{message}")
    assert len(found.samples) == 6


def test_a_question_without_annotation(tmp_path: Path) -> None:
    queries, annotations = lists()
    found, faults = built(written(tmp_path, queries, annotations[:-1]))
    place = f"{tmp_path}/{QUERIES}: entry 8"
    assert faults == [f"{place}: id 1011 has no annotation that can be used in {tmp_path}/{ANNOTATIONS}"]
    assert len(found.samples) == 6


def test_a_missing_picture_is_named_by_the_question(tmp_path: Path) -> None:
    written(tmp_path, *lists())
    gone = tmp_path / "image" / "AMBER_2.jpg"
    gone.unlink()
    found, faults = built(tmp_path)
    assert faults == [f"{tmp_path}/{QUERIES}: entry 4: picture {gone} is missing: add it"]
    assert len(found.samples) == 4


def test_no_question_of_a_dimension(tmp_path: Path) -> None:
    queries, annotations = lists()
    _, faults = built(written(tmp_path, queries[:4], annotations[:4]), dimensions=("existence", "relation"))
    assert faults == [f"{tmp_path}/{QUERIES}: has no question about existence or relation"]


@pytest.mark.parametrize(("text", "message"), [("[", "line 1: is not JSON"), ("{}", "should be a list")])
def test_another_file(tmp_path: Path, text: str, message: str) -> None:
    (written(tmp_path, *lists()) / ANNOTATIONS).write_text(text)
    with pytest.raises(PruneProofError, match=message):
        built(tmp_path)
