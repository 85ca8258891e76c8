"""Accuracy, precision, recall, F1 and the share of `yes` over answers to yes-or-no questions; `yes` is positive."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def ratios(says_yes: Bools, truth_yes: Bools, says_no: Bools | None = None) -> dict[str, tuple[Floats, Floats]]:
    """The five numbers as (numerator, denominator) of every answer: sum both over the answers of one split and divide.

    F1 is written 2 TP / (2 TP + FP + FN), equal to 2PR / (P + R) wherever that is defined and 0 where no positive was
    found, so that a model that says `no` to everything keeps a place in the averages. Precision without any predicted
    `yes` is 0/0 (nan).

    Args:
        says_yes: whether `yes` was predicted, (..., N).
        truth_yes: whether `yes` is true, broadcastable to (..., N).
        says_no: whether `no` was predicted, where an answer can be neither; such an answer is wrong, and no false
            negative either.
    """
    said, true = np.broadcast_arrays(says_yes, truth_yes)
    denied = ~said if says_no is None else np.broadcast_to(says_no, said.shape)
    tp, fp, tn, fn = (
        np.asarray(a & b, float) for a, b in ((said, true), (said, ~true), (denied, ~true), (denied, true))
    )
    rows = np.ones(said.shape)
    return {
        "accuracy": (tp + tn, rows),
        "precision": (tp, tp + fp),
        "recall": (tp, tp + fn),
        "f1": (2 * tp, 2 * tp + fp + fn),
        "yes_ratio": (tp + fp, rows),
    }


def are(value: str, words: Sequence[str]) -> Bools:
    """(N) whether each word is this value."""
    return np.array([word == value for word in words], bool)


def counts(says_yes: Bools, true: Bools, says_no: Bools) -> tuple[int, int, int, int]:
    """TP, FP, TN, FN of (N) answers."""
    pairs = ((says_yes, true), (says_yes, ~true), (says_no, ~true), (says_no, true))
    tp, fp, tn, fn = (int((a & b).sum()) for a, b in pairs)
    return tp, fp, tn, fn


def share(part: float, whole: float, otherwise: float) -> float:
    """A quotient, or what stands in its place where the whole is zero."""
    return part / whole if whole else otherwise


def f1(precision: float, recall: float, otherwise: float) -> float:
    """2PR / (P + R), or what stands in its place where that is not defined."""
    return share(2 * (precision * recall), precision + recall, otherwise)
