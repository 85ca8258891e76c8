"""The same answers as three harnesses read them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.scoring import scorers
from pruneproof.scoring.scorers import Scorer, Truth, pope, pope_lmms_eval, pope_vlmevalkit

YES, NO = Truth(("yes",)), Truth(("no",))


@pytest.mark.parametrize(
    ("text", "official", "lmms_eval", "vlmevalkit"),
    [
        ("Yes", "yes", "yes", "yes"),
        ("No", "no", "no", "no"),
        ("Yes.", "yes", "yes.", "yes"),
        ("No.", "no", "no.", "no"),
        ("NO", "yes", "no", "no"),
        ("No!", "yes", "no!", "no"),
        ('"No"', "yes", '"no"', "no"),
        ("No\n", "yes", "no", "no"),
        ("Yes, there is a dog.", "yes", "yes, there is a dog.", "yes"),
        ("There is no dog in the image.", "no", "there is no dog in the image.", "no"),
        ("There is not a dog.", "no", "there is not a dog.", "unknown"),
        ("There isn't a dog.", "yes", "there isn't a dog.", "unknown"),
        ("Nope", "yes", "nope", "unknown"),
        ("None", "yes", "none", "unknown"),
        ("", "yes", "", "unknown"),
        ("unanswerable", "yes", "unanswerable", "unknown"),
        ("I do not know", "no", "i do not know", "unknown"),
        ("Yes, no problem.", "no", "yes, no problem.", "unknown"),
        ("yes-no", "yes", "yes-no", "unknown"),
        ("1.no", "yes", "1.no", "unknown"),  # VLMEvalKit keeps a full stop next to a digit
    ],
)
def test_three_readings(text: str, official: str, lmms_eval: str, vlmevalkit: str) -> None:
    assert pope.read(text, YES).prediction == official
    assert pope_lmms_eval.read(text, YES) == (lmms_eval, lmms_eval in ("yes", "no"))
    assert pope_vlmevalkit.read(text, YES) == (vlmevalkit, vlmevalkit != "unknown")


def scored(scorer: Scorer, texts: list[str], truths: list[Truth]) -> tuple[dict[str, float], dict[str, float]]:
    """Ratios summed and divided, and figures."""
    said = [scorer.read(text, truth).prediction for text, truth in zip(texts, truths, strict=True)]
    marks = np.array([scorer.mark(one, truth) for one, truth in zip(said, truths, strict=True)])
    with np.errstate(invalid="ignore"):
        sums = {k: float(np.divide(a.sum(), b.sum())) for k, (a, b) in scorer.ratios(said, marks, truths).items()}
    return sums, scorer.figures(said, marks, truths)


def test_hand_worked_sums() -> None:
    """Four present objects (yes, yes, No., junk), four absent ones (no, No., junk, yes)."""
    texts = ["yes", "yes", "No.", "junk", "no", "No.", "junk", "yes"]
    truths = [YES] * 4 + [NO] * 4
    ratios, figures = scored(pope, texts, truths)
    assert (figures["TP"], figures["FP"], figures["TN"], figures["FN"]) == (3, 2, 2, 1)
    assert (ratios["accuracy"], ratios["precision"], ratios["recall"]) == (5 / 8, 3 / 5, 3 / 4)
    assert ratios["yes_ratio"] == figures["Yes ratio"] == 5 / 8
    ratios, figures = scored(pope_lmms_eval, texts, truths)
    assert (ratios["accuracy"], ratios["precision"], ratios["recall"]) == (3 / 8, 2 / 3, 1)
    assert (ratios["yes_ratio"], figures["pope_yes_ratio"]) == (3 / 8, 1 / 2)
    ratios, figures = scored(pope_vlmevalkit, texts, truths)
    assert (ratios["accuracy"], ratios["precision"], ratios["recall"]) == (4 / 8, 2 / 3, 2 / 4)
    assert ratios["f1"] == pytest.approx(figures["Overall"] / 100)


@pytest.mark.parametrize("scorer", [pope, pope_lmms_eval, pope_vlmevalkit])
def test_nothing_found(scorer: Scorer) -> None:
    ratios, figures = scored(scorer, ["no", "no"], [YES, NO])
    assert math.isnan(ratios["precision"])
    assert (ratios["recall"], ratios["f1"]) == (0, 0)
    f1 = next(value for name, value in figures.items() if name in ("F1 score", "pope_f1_score", "Overall"))
    assert math.isnan(f1) if scorer is pope else f1 == 0


pieces = st.sampled_from(["Yes", "No", "no", "not", "NO", ".", ",", " ", "\n", "No.", "a dog", "1", "-", "!", "yes"])
rows = st.lists(st.tuples(st.lists(pieces, max_size=5).map("".join), st.sampled_from([YES, NO])), min_size=1)


@pytest.mark.parametrize("name", ["pope", "pope_lmms_eval", "pope_vlmevalkit"])
@given(rows=rows)
def test_ratios_are_the_figures(name: str, rows: list[tuple[str, Truth]]) -> None:
    texts, truths = map(list, zip(*rows, strict=True))
    ratios, figures = scored(scorers.scorer(name), texts, truths)
    renamed = {"Overall": "f1", "acc": "accuracy", "F1 score": "f1", "pope_f1_score": "f1", "Yes ratio": "yes_ratio"}
    for printed, value in figures.items():
        score = renamed.get(printed, printed.removeprefix("pope_").lower())
        if score in ratios and not math.isnan(value) and not math.isnan(ratios[score]) and printed != "pope_yes_ratio":
            assert ratios[score] == pytest.approx(value / (100 if name == "pope_vlmevalkit" else 1))
