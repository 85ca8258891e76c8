"""Hand-worked cases of GQA's script."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.benchmarks._gqa_facts import facts
from pruneproof.scoring.scorers import Truth, gqa


def question(answer: str = "red", **changes: Any) -> dict[str, Any]:
    return {
        "question": "What color is the small car?",
        "answer": answer,
        "isBalanced": True,
        "types": {"structural": "query", "semantic": "attr", "detailed": "color"},
        "groups": {"global": "color"},
        "semantic": [
            {"operation": "select", "argument": "car (1)"},
            {"operation": "filter size", "argument": "small"},
            {"operation": "query", "argument": "color"},
        ],
        "entailed": ["1"],
    } | changes


def truth(name: str = "1", answer: str = "red", choices: dict[str, list[str]] | None = None, **changes: Any) -> Truth:
    return Truth((answer,), facts(name, question(answer, **changes), choices))


def totals(said: list[str], truths: list[Truth]) -> dict[str, float]:
    found = gqa.ratios(said, marks(said, truths), truths)
    with np.errstate(invalid="ignore"):
        return {name: float(np.divide(a.sum(), b.sum())) for name, (a, b) in found.items()}


def marks(said: list[str], truths: list[Truth]) -> np.ndarray[Any, Any]:
    return np.array([gqa.mark(one, true) for one, true in zip(said, truths, strict=True)])


@pytest.mark.parametrize(("said", "right"), [("red", 1), ("Red", 0), ("red.", 0), (" red", 0), ("", 0), ("a red", 0)])
def test_equality_is_raw(said: str, right: int) -> None:
    assert gqa.read(said, truth()) == (said, bool(said.strip()))
    assert gqa.mark(said, truth()) == right


def test_facts_of_a_question() -> None:
    assert facts("1", question(entailed=["1", "2"])) == {
        "question_id": "1",
        "balanced": True,
        "entailed": ["2"],
        "structural": "query",
        "semantic": "attr",
        "steps": 3,
        "words": 6,
        "group": "color",
    }


@pytest.mark.parametrize(
    ("operation", "argument", "steps"),
    [
        ("query", "name", 0),
        ("query", "color", 1),
        ("choose name", "car", 0),
        ("exist", "?", 0),
        ("choose", "name", 1),
    ],
)
def test_endings_are_no_steps_of_reasoning(operation: str, argument: str, steps: int) -> None:
    found = facts("1", question(semantic=[{"operation": operation, "argument": argument}]))
    assert found["steps"] == steps


def test_unbalanced_questions_do_not_count() -> None:
    truths = [truth("1"), truth("2", isBalanced=False)]
    assert totals(["red", "blue"], truths)["accuracy"] == 1
    assert gqa.figures(["red", "blue"], np.array([1.0, 0.0]), truths)["Accuracy / words number: 6"] == 100
    assert not {"structural", "semantic", "steps", "words"}.intersection(truths[1].facts)


def test_open_questions_are_the_queries() -> None:
    types = {"structural": "verify", "semantic": "attr", "detailed": "colorVerify"}
    truths = [truth("1"), truth("2", "yes", types=types), truth("3", "no", types=types)]
    found = totals(["red", "yes", "yes"], truths)
    assert (found["open"], found["binary"], found["accuracy"]) == (1, 1 / 2, 2 / 3)


def test_consistency_is_asked_of_right_answers_alone() -> None:
    """Right 1 entails itself, a right 2 and a wrong, unbalanced 3; wrong 4 entails 3, and right 2 nothing."""
    truths = [
        truth("1", entailed=["1", "2", "3"]),
        truth("2", entailed=["2"]),
        truth("3", isBalanced=False, entailed=["1"]),
        truth("4", entailed=["3"]),
    ]
    assert totals(["red", "red", "x", "x"], truths)["consistency"] == 1 / 2
    assert math.isnan(totals(["x", "red", "x", "x"], truths)["consistency"])
    assert "consistency" not in totals(["red"], truths[:1])  # 2 and 3 have no prediction
    assert "consistency" not in totals(["red"], truths[1:2])  # nothing is entailed


def test_validity_and_plausibility_need_choices() -> None:
    choices = {"valid": ["red", "blue"], "plausible": ["red"]}
    truths = [truth("1", choices=choices), truth("2", choices=choices), truth("3", choices=choices)]
    found = totals(["blue", "red", "Red"], truths)
    assert (found["validity"], found["plausibility"]) == (2 / 3, 1 / 3)
    assert not {"validity", "plausibility"} & set(totals(["red"], [truth()]))


def test_questions_about_what_is_common_have_choices_of_their_own() -> None:
    types = {"structural": "query", "semantic": "attr", "detailed": "twoCommon"}
    found = facts("1", question("color", types=types), {"valid": ["red"], "plausible": ["red"]})
    assert found["valid"] == found["plausible"] == ["color", "material", "shape"]


def test_distribution_by_hand() -> None:
    """Colours: red 3 true, 1 said, blue 1 true, 1 said: 4/3, of weight 4. Shapes: 1 true, none said: 1, of weight 1."""
    shape = {"groups": {"global": "shape"}}
    truths = [truth(answer=a) for a in ("red", "red", "red", "blue")] + [truth(answer="round", **shape)]
    truths += [truth(groups={"global": None}), truth(isBalanced=False)]
    said = ["red", "green", "Red", "blue", "flat", "x", "x"]
    assert gqa.distribution(said, truths) == pytest.approx((4 / 3 * 4 + 1) / 5 / 100)
    assert math.isnan(gqa.distribution([], []))


answers = st.sampled_from(["red", "blue", "Red", ""])


@given(st.lists(st.tuples(answers, answers, st.booleans(), st.sampled_from(["query", "verify"])), min_size=1))
def test_binary_and_open_add_up(rows: list[tuple[str, str, bool, str]]) -> None:
    truths = []
    for i, (_, true, balanced, kind) in enumerate(rows):
        types = {"structural": kind, "semantic": "attr", "detailed": "color"}
        truths.append(truth(str(i), true, isBalanced=balanced, types=types, entailed=[]))
    said = [row[0] for row in rows]
    found = gqa.ratios(said, marks(said, truths), truths)
    for part in (0, 1):
        np.testing.assert_array_equal(found["binary"][part] + found["open"][part], found["accuracy"][part])
    perfect = [row[1] for row in rows]
    if any(row[2] for row in rows):
        assert gqa.distribution(perfect, truths) == 0
        assert totals(perfect, truths)["accuracy"] == 1
