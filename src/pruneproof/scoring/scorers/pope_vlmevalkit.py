"""POPE as VLMEvalKit scores it without a judge (open-compass/VLMEvalKit, `utils/yorn.py`, `POPE_rating`).

An answer is what it holds of the words yes and no; with both or neither it is `unknown`. That is wrong for accuracy and
a `no` for precision, recall and F1, so that an unknown answer to an absent object is wrong and yet no false positive.
With a judge, VLMEvalKit asks a language model about the unknown ones; a run without the judge's key reads as here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import nan

from pruneproof.scoring import yes_no
from pruneproof.scoring.punctuation import strip_marks
from pruneproof.scoring.scorers import Floats, Ratios, Reading, Truth

TITLE = "POPE (VLMEvalKit)"

_COMMA = re.compile(r"\d,\d")
_STOP = re.compile(r"(?<!\d)\.(?!\d)")


def read(text: str, truth: Truth) -> Reading:
    """`yes`, `no` or `unknown`."""
    said = {"yes", "no"}.intersection(strip_marks(text.lower(), _COMMA, _STOP).split())
    return Reading(said.pop(), True) if len(said) == 1 else Reading("unknown", False)


def mark(prediction: str, truth: Truth) -> float:
    """1 for the true answer, else 0."""
    return float(prediction == truth.answers[0])


def ratios(predictions: Sequence[str], marks: Floats, truths: Sequence[Truth]) -> Ratios:
    """As for `pope`, and accuracy with the unknown answers wrong."""
    found = yes_no.ratios(yes_no.are("yes", predictions), yes_no.are("yes", [truth.answers[0] for truth in truths]))
    return {**found, "accuracy": (marks, found["accuracy"][1])}


def figures(predictions: Sequence[str], marks: Floats, truths: Sequence[Truth]) -> dict[str, float]:
    """One row of its table, in percent and unrounded; `Overall` is F1. What it cannot divide is 0."""
    says_yes = yes_no.are("yes", predictions)
    tp, fp, _, fn = yes_no.counts(says_yes, yes_no.are("yes", [truth.answers[0] for truth in truths]), ~says_yes)
    precision, recall = yes_no.share(tp, tp + fp, 0.0), yes_no.share(tp, tp + fn, 0.0)
    return {
        "Overall": 100 * yes_no.f1(precision, recall, 0.0),
        "acc": 100 * yes_no.share(float(marks.sum()), len(truths), nan),
        "precision": 100 * precision,
        "recall": 100 * recall,
    }
