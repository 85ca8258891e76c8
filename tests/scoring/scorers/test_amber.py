"""Hand-worked cases of AMBER's script."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.scoring.scorers import Truth, amber

CLOUD = Truth(("no",), {"dimension": "existence"})
SUNNY = Truth(("yes",), {"dimension": "attribute", "attribute": "state"})
GLOOMY = Truth(("no",), {"dimension": "attribute", "attribute": "state"})
THREE = Truth(("Yes",), {"dimension": "attribute", "attribute": "number"})
TOUCH = Truth(("No",), {"dimension": "relation"})

TEXTS = ["No", "No", "no", "Yes", "No", "Yes"]
TRUTHS = [CLOUD, SUNNY, GLOOMY, THREE, TOUCH, TOUCH]


def scored(texts: list[str], truths: list[Truth]) -> tuple[dict[str, float], dict[str, float]]:
    said = [amber.read(text, truth).prediction for text, truth in zip(texts, truths, strict=True)]
    marks = np.array([amber.mark(one, truth) for one, truth in zip(said, truths, strict=True)])
    found = amber.ratios(said, marks, truths)
    with np.errstate(invalid="ignore"):
        shares = {name: float(np.divide(above.sum(), below.sum())) for name, (above, below) in found.items()}
    return shares, amber.figures(said, marks, truths)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Yes", "yes"),
        ("No", "no"),
        ("yes", "neither"),
        ("No.", "neither"),
        (" No", "neither"),
        ("NO", "neither"),
        ("", "neither"),
    ],
)
def test_only_the_very_words_are_answers(text: str, said: str) -> None:
    assert amber.read(text, CLOUD) == (said, said != "neither")
    assert amber.mark(said, CLOUD) == (said == "no")
    assert amber.mark(said, SUNNY) == (said == "yes")


def test_no_is_the_positive_answer() -> None:
    # `No` three times, twice rightly; four true `no`, of which `no` and `Yes` miss one each; right: 1, 4 and 5 of 6.
    shares, _ = scored(TEXTS, TRUTHS)
    assert shares == {
        "accuracy": 3 / 6,
        "precision": 2 / 3,
        "recall": 2 / 4,
        "f1": 4 / 7,
        "existence_f1": 1.0,
        "attribute_f1": 0.0,
        "relation_f1": 2 / 3,
    }


def test_figures_as_the_script_rounds_them() -> None:
    _, printed = scored(TEXTS, TRUTHS)
    assert printed == {
        "Accuracy": 50.0,
        "Precision": 66.6,  # 2 / 3.001
        "Recall": 50.0,
        "F1": 57.1,  # 2 * 0.666 * 0.5 / 1.1661
        "Existence: Accuracy": 99.9,  # 1 / 1.001
        "Existence: Precision": 99.9,
        "Existence: Recall": 99.9,
        "Existence: F1": 99.9,  # 2 * 0.999 * 0.999 / 1.999 = 0.9985
        "Attribute: Accuracy": 33.3,  # 1 / 3.003
        "Attribute: Precision": 0.0,
        "Attribute: Recall": 0.0,
        "Attribute: F1": 0.0,
        "State: Accuracy": 0.0,
        "State: Precision": 0.0,
        "State: Recall": 0.0,
        "State: F1": 0.0,
        "Number: Accuracy": 99.9,
        "Number: Precision": 0.0,
        "Number: Recall": 0.0,
        "Number: F1": 0.0,
        "Relation: Accuracy": 50.0,
        "Relation: Precision": 99.9,
        "Relation: Recall": 50.0,
        "Relation: F1": 66.6,  # 2 * 0.999 * 0.5 / 1.4991
    }


def test_an_attribute_counts_from_three_thousandths() -> None:
    _, printed = scored(["No"] * 2, [GLOOMY] * 2)
    assert printed["Attribute: Accuracy"] == 99.9  # 2 / 2.003 = 0.99850; 2 / 2.001 would be 100.0
    assert printed["State: Accuracy"] == 100.0


def test_what_is_not_asked_has_no_score() -> None:
    shares, printed = scored(["Yes"], [SUNNY])
    assert set(shares) == {"accuracy", "precision", "recall", "f1", "attribute_f1"}
    assert math.isnan(shares["precision"])
    assert math.isnan(shares["f1"])
    assert printed["F1"] == 0.0
    assert not [name for name in printed if name.startswith(("Existence", "Relation", "Number"))]


def test_nothing_asked() -> None:
    shares, printed = scored([], [])
    assert all(math.isnan(value) for value in shares.values())
    assert printed == {"Accuracy": 0.0, "Precision": 0.0, "Recall": 0.0, "F1": 0.0}


@given(st.lists(st.tuples(st.sampled_from(["Yes", "No", "no", "?"]), st.sampled_from(TRUTHS)), min_size=1))
def test_shares_against_counting(pairs: list[tuple[str, Truth]]) -> None:
    shares, _ = scored([text for text, _ in pairs], [truth for _, truth in pairs])
    denied = [truth.answers[0].lower() for text, truth in pairs if text == "No"]
    missed = [text for text, truth in pairs if truth.answers[0].lower() == "no" and text != "No"]
    hits, false = denied.count("no"), denied.count("yes")
    for name, above, below in (
        ("precision", hits, hits + false),
        ("recall", hits, hits + len(missed)),
        ("f1", 2 * hits, 2 * hits + false + len(missed)),
    ):
        assert shares[name] == (above / below if below else pytest.approx(math.nan, nan_ok=True))
