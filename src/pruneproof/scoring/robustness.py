"""What a perturbation costs, and what it costs a pruned model more than the full one.

All inputs are scores of single questions or error rates; questions that lack an answer are nan and drop out of every
comparison they take part in, so that both sides of a difference always rest on the same questions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def drop(clean: ArrayLike, perturbed: ArrayLike) -> Floats:
    """Clean minus perturbed score of each question; positive = the perturbation hurts.

    Args:
        clean: (U) scores in 0..1, nan where not answered.
        perturbed: (..., U).
    """
    return np.subtract(clean, perturbed, dtype=float)


def difference_in_drops(method: ArrayLike, baseline: ArrayLike) -> Floats:
    """Drop of the method minus drop of the baseline, question by question (difference in differences).

    Positive = the method loses more than the baseline. Two methods may differ on clean input and still have a
    difference in drops of zero: then pruning costs accuracy, but not robustness.
    """
    return np.subtract(method, baseline, dtype=float)


def corruption_error(method: ArrayLike, full: ArrayLike) -> Floats:
    """Corruption error: sum over severities of the method's error over the same sum of the full model.

    ImageNet-C (Hendrycks and Dietterich, 2019) divides by AlexNet's errors, which mean nothing for a vision-language
    model; here the **unpruned model** stands in its place, so 1 means as many errors as without pruning. As in
    mCE, the mean over perturbations gives each perturbation the same weight.

    Args:
        method: error rates in 0..1 under each severity, (..., S).
        full: those of the unpruned model on the same questions, (..., S).

    Returns:
        (...); nan where the full model makes no error.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sum(np.asarray(method, float), -1) / np.sum(np.asarray(full, float), -1)
    return np.where(np.isfinite(ratio), ratio, np.nan)


def flips(clean: NDArray[np.int_], perturbed: NDArray[np.int_]) -> Floats:
    """Whether a prediction changed: 1, 0, or nan where either side has none.

    Unlike accuracy this also sees one wrong answer turn into another, or gains and losses that cancel.

    Args:
        clean: (S) or (..., S) codes of the predictions that are compared with, -1 where not answered.
        perturbed: (..., S) codes in the same numbering.
    """
    return np.where((clean < 0) | (perturbed < 0), np.nan, (clean != perturbed).astype(float))


class Flips(NamedTuple):
    """How answers changed, each 1 or 0, nan where either side has none; the other answers stayed."""

    correct_to_wrong: Floats
    wrong_to_correct: Floats
    wrong_to_wrong: Floats
    """Both wrong, and not the same."""


def flips_by_outcome(changed: Floats, before: Floats, after: Floats) -> Flips:
    """Split changed answers by what they changed from and to.

    Accuracy sees the difference of the first two alone. A compressed model that answers as many questions right may
    answer others right: up to a fifth of the answers of compressed vision-language models change (arXiv 2503.06794,
    EMNLP 2025, which argues for this measure).

    Args:
        changed: from `flips`.
        before: (S) or (..., S) whether the answer that is compared with was correct, 1 or 0.
        after: (..., S) whether the answer is.
    """
    unknown = ~np.isfinite(changed + before + after)
    outcomes = ((before == 1) & (after == 0), (before == 0) & (after == 1), (before == 0) & (after == 0))
    return Flips(*(np.where(unknown, np.nan, changed * outcome) for outcome in outcomes))
