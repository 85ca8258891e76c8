"""The official POPE script, restated from its description, is the reference."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.scoring.scorers import Truth, pope


def official(texts: list[str], labels: list[str]) -> dict[str, float]:
    """What `evaluate.py` computes, one answer after the other; ZeroDivisionError where it stops."""
    tp = fp = tn = fn = 0
    for text, label in zip(texts, labels, strict=True):
        if text.find(".") != -1:
            text = text[: text.find(".")]
        words = text.replace(",", "").split(" ")
        said = "no" if "No" in words or "not" in words or "no" in words else "yes"
        if said == "yes":
            tp, fp = (tp + 1, fp) if label == "yes" else (tp, fp + 1)
        else:
            tn, fn = (tn + 1, fn) if label == "no" else (tn, fn + 1)
    precision, recall = tp / (tp + fp), tp / (tp + fn)
    return {
        "accuracy": (tp + tn) / (tp + tn + fp + fn),
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall),
        "yes_ratio": (tp + fp) / (tp + tn + fp + fn),
    }


def ours(texts: list[str], labels: list[str]) -> dict[str, float]:
    truths = [Truth((label,)) for label in labels]
    said = [pope.read(text, truth).prediction for text, truth in zip(texts, truths, strict=True)]
    marks = np.array([pope.mark(one, truth) for one, truth in zip(said, truths, strict=True)])
    with np.errstate(invalid="ignore"):
        return {name: float(np.divide(a.sum(), b.sum())) for name, (a, b) in pope.ratios(said, marks, truths).items()}


@pytest.mark.parametrize(
    ("text", "said", "parseable"),
    [
        ("Yes", "yes", True),
        ("No.", "no", True),
        ("NO", "yes", True),
        ("No!", "yes", True),
        ('"No"', "yes", True),
        ("No\n", "yes", True),
        ("No, there is.", "no", True),
        ("Yes, there is a dog.", "yes", True),
        ("There is no dog in the image.", "no", True),
        ("There is not a dog.", "no", False),
        ("There isn't a dog.", "yes", False),
        ("Nope", "yes", False),
        ("None", "yes", False),
        ("", "yes", False),
        ("unanswerable", "yes", False),
        ("I do not know", "no", False),
        ("Yes, no problem.", "no", False),
        ("Yes. No", "yes", False),
        ("n,o", "no", False),
        ("know", "yes", False),
    ],
)
def test_parse_keeps_the_official_quirks(text: str, said: str, parseable: bool) -> None:
    assert pope.parse(text) == said
    assert pope.parseable(text) is parseable


pieces = st.sampled_from(["Yes", "No", "no", "not", "NO", ".", ",", " ", "\n", "No.", "a dog", "n", "o", "yes"])
answers = st.lists(st.tuples(st.lists(pieces, max_size=5).map("".join), st.sampled_from(["yes", "no"])), min_size=1)


@given(answers)
def test_scores_are_the_official_ones(rows: list[tuple[str, str]]) -> None:
    texts, labels = map(list, zip(*rows, strict=True))
    found = ours(texts, labels)
    try:
        expected = official(texts, labels)
    except ZeroDivisionError:
        positives = sum(label == "yes" for label in labels)
        hits = sum(pope.parse(text) == "yes" == label for text, label in rows)
        assert hits == 0
        assert math.isnan(found["recall"]) == (positives == 0)
        assert math.isnan(found["f1"]) or found["f1"] == 0
    else:
        assert found == pytest.approx(expected)


def test_published_counts_give_the_published_scores() -> None:
    """LLaVA-1.5-7B on the random split, as posted in haotian-liu/LLaVA issue 626."""
    tp, fp, tn, fn = 1183, 31, 1379, 317
    said = ["yes"] * (tp + fp) + ["no"] * (tn + fn)
    labels = ["yes"] * tp + ["no"] * (fp + tn) + ["yes"] * fn
    found = {name: round(value, 4) for name, value in ours(said, labels).items()}
    assert (found["accuracy"], found["precision"], found["recall"], found["f1"]) == (0.8804, 0.9745, 0.7887, 0.8718)


def test_model_that_never_says_yes_has_no_precision_and_an_f1_of_zero() -> None:
    found = ours(["no", "no"], ["yes", "no"])
    assert math.isnan(found["precision"])
    assert (found["recall"], found["f1"], found["yes_ratio"]) == (0, 0, 0)
