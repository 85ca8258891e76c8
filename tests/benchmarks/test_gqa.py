"""GQA's files as their authors publish them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pruneproof.benchmarks import Benchmark, Request, gqa
from pruneproof.errors import PruneProofError
from pruneproof.scoring.scorers import Truth
from pruneproof.scoring.scorers import gqa as rule

BALANCED = "questions/testdev_balanced_questions.json"
ALL = "questions/testdev_all_questions.json"


def question(image: str, text: str, answer: str, structural: str, **changes: Any) -> dict[str, Any]:
    return {
        "imageId": image,
        "question": text,
        "answer": answer,
        "fullAnswer": f"It is {answer}.",
        "isBalanced": True,
        "types": {"structural": structural, "semantic": "attr", "detailed": "color"},
        "groups": {"global": "color", "local": "10c-car_color"},
        "semantic": [
            {"operation": "select", "argument": "car (1)", "dependencies": []},
            {"operation": f"{structural} color", "argument": answer, "dependencies": [0]},
        ],
        "semanticStr": "...",
        "annotations": {"answer": {}, "question": {"4": "1"}, "fullAnswer": {}},
        "entailed": [],
        "equivalent": [],
    } | changes


def balanced() -> dict[str, Any]:
    return {
        "05": question("n1", "What color is the car?", "red", "query", entailed=["05", "07"]),
        "06": question("n1", "Is the sky blue?", "yes", "verify", groups={"global": None, "local": None}),
        "08": question("n2", "Is it a car or a bus?", "bus", "choose"),
    }


def every() -> dict[str, Any]:
    return balanced() | {
        "07": question("n1", "Is the car red?", "yes", "verify", isBalanced=False, entailed=["05"]),
        "09": question("n2", "Is it a bus?", "yes", "verify", isBalanced=False),
    }


def written(folder: Path, questions: Any, name: str = BALANCED) -> Path:
    (folder / "questions").mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(questions))
    (folder / "images").mkdir(exist_ok=True)
    for image in ("n1", "n2"):
        (folder / "images" / f"{image}.jpg").touch()
    return folder


def built(folder: Path, images: Any = "all", **options: Any) -> tuple[Benchmark, list[str]]:
    request = Request(images, 0, folder)
    return gqa.build(request, gqa.Options(**options)), request.faults.lines


def test_balanced_questions(tmp_path: Path) -> None:
    found, faults = built(written(tmp_path, balanced()))
    assert faults == []
    assert found.images == (
        {"image_id": "n1", "group": "", "file": "images/n1.jpg"},
        {"image_id": "n2", "group": "", "file": "images/n2.jpg"},
    )
    assert [(sample.sample_id, sample.kind, sample.detail, sample.answer) for sample in found.samples] == [
        ("n1/05", "query", "attr", "red"),
        ("n1/06", "verify", "attr", "yes"),
        ("n2/08", "choose", "attr", "bus"),
    ]
    assert found.samples[0].facts == {
        "question_id": "05",
        "balanced": True,
        "entailed": ["07"],
        "structural": "query",
        "semantic": "attr",
        "steps": 2,
        "words": 5,
        "group": "color",
    }
    assert found.samples[1].facts["group"] is None
    assert {sample.scorers for sample in found.samples} == {("gqa",)}


def scored(found: Benchmark, texts: list[str]) -> dict[str, float]:
    truths = [Truth(sample.truths, sample.facts) for sample in found.samples]
    marks = np.array([rule.mark(text, truth) for text, truth in zip(texts, truths, strict=True)])
    return rule.figures(texts, marks, truths)


def test_consistency_asks_what_is_entailed_and_scores_it_nowhere_else(tmp_path: Path) -> None:
    found, faults = built(written(tmp_path, every(), ALL), consistency=True)
    assert faults == []
    assert [(sample.facts["question_id"], sample.kind) for sample in found.samples] == [
        ("05", "query"),
        ("06", "verify"),
        ("08", "choose"),
        ("07", gqa.ENTAILED),
    ]
    printed = scored(found, ["red", "yes", "car", "no"])
    assert printed["Accuracy"] == 66.67
    assert printed["Consistency"] == 0.0
    assert scored(found, ["red", "no", "car", "yes"])["Consistency"] == 100.0
    assert "Consistency" not in scored(built(written(tmp_path, balanced()))[0], ["red", "yes", "car"])


def test_choices_give_validity_and_plausibility(tmp_path: Path) -> None:
    written(tmp_path, balanced(), "questions/val_balanced_questions.json")
    choices = {key: {"valid": ["red", "blue"], "plausible": ["red"]} for key in balanced()}
    (tmp_path / "val_choices.json").write_text(json.dumps(choices))
    found, faults = built(tmp_path, split="val", choices="val_choices.json")
    assert faults == []
    printed = scored(found, ["blue", "red", "no"])
    assert (printed["Validity"], printed["Plausibility"]) == (66.67, 33.33)
    assert "Validity" not in scored(built(tmp_path, split="val")[0], ["blue", "red", "no"])
    del choices["06"]
    (tmp_path / "val_choices.json").write_text(json.dumps(choices))
    found, faults = built(tmp_path, split="val", choices="val_choices.json")
    where = f"{tmp_path}/questions/val_balanced_questions.json: '06': has no choices that can be used in "
    assert faults == [f"{where}{tmp_path}/val_choices.json"]
    assert [sample.facts["question_id"] for sample in found.samples] == ["05", "08"]


def test_a_subset_has_all_questions_of_its_pictures(tmp_path: Path) -> None:
    written(tmp_path, every(), ALL)
    taken = {}
    for seed in range(12):
        found = gqa.build(Request(1, seed, tmp_path), gqa.Options(consistency=True))
        taken[found.images[0]["image_id"]] = [sample.facts["question_id"] for sample in found.samples]
    assert taken == {"n1": ["05", "06", "07"], "n2": ["08"]}


def test_what_it_reads() -> None:
    assert [need.path for need in gqa.needs(gqa.Options())] == [BALANCED, "images"]
    needs = gqa.needs(gqa.Options(split="val", consistency=True, choices="eval/val_choices.json"))
    assert [need.path for need in needs] == ["questions/val_all_questions.json", "eval/val_choices.json", "images"]


def test_the_file_that_the_script_reads(tmp_path: Path) -> None:
    found, _ = built(written(tmp_path, balanced()))
    name, rows = gqa.results([(found.samples[0], "red")], gqa.Options(), "llava15")
    assert (name, rows) == ("testdev_predictions.json", [{"questionId": "05", "prediction": "red"}])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"question": ""}, "question is '': must not be empty"),
        ({"answer": 3}, "answer is 3: "),
        ({"imageId": "../n1"}, "imageId is '../n1': "),
        ({"isBalanced": "yes"}, "isBalanced is 'yes': "),
        (
            {"types": {"structural": "guess", "semantic": "attr", "detailed": "x"}},
            "types.structural is 'guess'; allowed",
        ),
        ({"types": {"structural": "query", "detailed": "x"}}, "types.semantic is missing"),
        ({"groups": {}}, "groups.global is missing"),
        ({"semantic": [{"operation": "select"}]}, "semantic[0].argument is missing"),
        ({"entailed": None}, "entailed is None: "),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    questions = balanced()
    questions["06"] |= change
    found, faults = built(written(tmp_path, questions))
    assert len(faults) == 1
    assert faults[0].startswith(f"{tmp_path}/{BALANCED}: '06': {message}")
    assert len(found.samples) == 2


def test_an_id_that_occurs_twice(tmp_path: Path) -> None:
    written(tmp_path, {})
    one, two = (json.dumps(entry) for entry in list(balanced().values())[:2])
    (tmp_path / BALANCED).write_text(f'{{"05": {one}, "05": {two}}}')
    found, faults = built(tmp_path)
    assert faults == [f"{tmp_path}/{BALANCED}: '05' occurs twice as a key: leave one entry"]
    assert [sample.answer for sample in found.samples] == ["yes"]


def test_a_missing_picture_is_named_by_the_question(tmp_path: Path) -> None:
    written(tmp_path, balanced())
    gone = tmp_path / "images" / "n2.jpg"
    gone.unlink()
    found, faults = built(tmp_path)
    assert faults == [f"{tmp_path}/{BALANCED}: '08': picture {gone} is missing: add it"]
    assert len(found.samples) == 2


@pytest.mark.parametrize(
    ("entailed", "said"),
    [
        (["77"], "entails '77', which is not among the usable questions of the file"),
        (["07", "09"], "entails '09', which is about another picture, 'n2'"),
    ],
)
def test_a_question_that_entails_what_cannot_be_asked(tmp_path: Path, entailed: list[str], said: str) -> None:
    questions = every()
    questions["05"]["entailed"] = entailed
    found, faults = built(written(tmp_path, questions, ALL), consistency=True)
    assert faults == [f"{tmp_path}/{ALL}: '05': {said}"]
    assert [sample.facts["question_id"] for sample in found.samples] == ["06", "08"]


def test_a_file_without_balanced_questions(tmp_path: Path) -> None:
    unbalanced = {key: entry | {"isBalanced": False} for key, entry in balanced().items()}
    _, faults = built(written(tmp_path, unbalanced))
    assert faults == [f"{tmp_path}/{BALANCED}: has no balanced question (isBalanced): is it the right file?"]


@pytest.mark.parametrize(("text", "message"), [('{"05":', "line 1: is not JSON"), ("[1]", "should map ids to entries")])
def test_another_file(tmp_path: Path, text: str, message: str) -> None:
    (written(tmp_path, {}) / BALANCED).write_text(text)
    with pytest.raises(PruneProofError, match=message):
        built(tmp_path)
