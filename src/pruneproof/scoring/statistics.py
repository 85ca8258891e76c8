"""Scores as sums by image over sums by image, Holm's correction, and the smallest difference a study can show.

Questions on one image share its difficulty, so an image counts as one observation with all its questions, under all
conditions and for all methods at once (Miller, 2024, arXiv 2411.00640). The uncertainty of a score comes from
`cluster_t` for means of differences and from `bootstrap` for everything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

DECIMALS = 9
"""Scores are rounded, so that the order of a sum decides neither a sign nor a byte of the results."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """Scores of K conditions, each a sum over images divided by a sum over images."""

    numerator: Floats
    """(K, images)."""
    denominator: Floats
    """(K, images)."""

    @property
    def estimate(self) -> Floats:
        """(K) scores; nan where the denominator is zero."""
        return _divide(self.numerator.sum(-1), self.denominator.sum(-1))

    @property
    def influence(self) -> Floats:
        """(K, images) how far each image moves its score to first order; every row sums to 0.

        The ratio is a mean over questions if the denominator counts them; an image then contributes the sum of its
        questions' deviations from the mean, divided by the number of all questions.
        """
        total = self.denominator.sum(-1, keepdims=True)
        moved = self.numerator - self.estimate[:, None] * self.denominator
        influence: Floats = np.divide(moved, total, out=np.full(moved.shape, np.nan), where=total > 0)
        return influence

    def replicates(self, draws: Floats) -> Floats:
        """(K, resamples) scores of the resampled images; `draws` from `bootstrap.draw_images`."""
        return _divide(self.numerator @ draws.T, self.denominator @ draws.T)


def _divide(part: Floats, whole: Floats) -> Floats:
    result = np.full(part.shape, np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result.round(DECIMALS)


def sum_by_image(values: Floats, image: NDArray[np.int_], images: int) -> Floats:
    """Sum the last axis by image.

    Args:
        values: (K, X).
        image: (X) index of each item's image, in 0..images-1.
        images: number of images.

    Returns:
        (K, images).
    """
    rows = len(values)
    cell = image + images * np.arange(rows)[:, None]
    sums: Floats = np.bincount(cell.ravel(), values.ravel(), rows * images).astype(float)
    return sums.reshape(rows, images)


def mean_ratio(values: Floats, image: NDArray[np.int_], images: int) -> Ratio:
    """The mean of (K, X) values over X, nan left out, as a ratio of sums by image."""
    known = np.isfinite(values)
    return Ratio(
        sum_by_image(np.where(known, values, 0.0), image, images), sum_by_image(known.astype(float), image, images)
    )


def holm(p_values: ArrayLike) -> Floats:
    """Holm's step-down adjusted p values (Holm, 1979), in the order given; compare with the family-wise level.

    The i-th smallest of m is multiplied by m - i + 1, and no adjusted value is below one that comes before it.
    """
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")
    stepped = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    adjusted = np.empty_like(p)
    adjusted[order] = stepped
    return adjusted


def detectable_difference(
    images: int,
    questions_per_image: float,
    *,
    conditions: int = 1,
    comparisons: int = 1,
    discordance: float = 0.15,
    persistence: float = 0.3,
    correlation: float = 0.05,
    confidence: float = 0.95,
    power: float = 0.8,
) -> float:
    """Smallest difference in drops that a study of this size finds with the given power, in percentage points.

    A planning estimate, made before any answer exists; the defaults of the three shares are assumptions to plan with.
    Call d the difference in correctness of two methods on one question. A difference in drops is d on clean input
    minus the mean d over C conditions. With Var(d) = discordance under every condition and correlation r (persistence)
    between any two, its variance is discordance (1 - r) (C + 1) / C. Correlated questions on one image cost the design
    effect 1 + (q - 1) rho.

    Args:
        images: number of images.
        questions_per_image: different questions asked of each image.
        conditions: perturbed conditions averaged over.
        comparisons: primary contrasts; the level is divided by it, as in Holm's first step.
        discordance: share of questions that one of two methods answers correctly and the other does not.
        persistence: correlation of d between two conditions, 0 to 1: how far methods differ on the same questions.
        correlation: correlation of two questions on one image.
        confidence: 1 - the two-sided family-wise level.
        power: chance to find the difference.
    """
    variance = discordance * (1 - persistence) * (conditions + 1) / conditions
    effect = 1 + (questions_per_image - 1) * correlation
    error = sqrt(variance * effect / (images * questions_per_image))
    normal = NormalDist()
    level = (1 - confidence) / comparisons
    return 100 * error * (normal.inv_cdf(1 - level / 2) + normal.inv_cdf(power))


def images_needed(points: float, questions_per_image: float, **how: Any) -> int:
    """Fewest images that show a difference in drops of some size: `detectable_difference` the other way round.

    Args:
        points: the difference, in percentage points.
        questions_per_image: different questions asked of each image.
        how: the further arguments of `detectable_difference`.
    """
    return max(2, ceil((detectable_difference(1, questions_per_image, **how) / points) ** 2))
