"""Paired cluster bootstrap, Holm correction and the smallest difference a study can show.

Questions on one image share its difficulty, so images are drawn, with all their questions, under all conditions and for
all methods at once (Miller, 2024, arXiv 2411.00640). Every score is a sum over a sum; summed by image beforehand, a
bootstrap of any number of questions is one small matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_DECIMALS = 9
"""Replicates are rounded, so that the order of a sum decides neither a sign nor a byte of the results."""


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

    def replicates(self, draws: Floats) -> Floats:
        """(K, resamples) scores of the resampled images; `draws` from `draw_images`."""
        return _divide(self.numerator @ draws.T, self.denominator @ draws.T)


def _divide(part: Floats, whole: Floats) -> Floats:
    result = np.full(part.shape, np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result.round(_DECIMALS)


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


def draw_images(images: int, resamples: int, rng: np.random.Generator) -> Floats:
    """How often each image is drawn in each resample, (resamples, images); every row sums to `images`.

    One draw serves all methods and conditions: that is what pairs them.
    """
    return rng.multinomial(images, np.full(images, 1 / images), size=resamples).astype(float)


def percentile_interval(replicates: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Percentile interval of each row of (K, resamples); resamples in which a score is undefined are left out."""
    tail = (1 - confidence) / 2
    defined = np.isfinite(replicates)
    low, high = np.full((2, len(replicates)), np.nan)
    whole = defined.all(-1)
    low[whole], high[whole] = np.quantile(replicates[whole], [tail, 1 - tail], axis=-1)
    for row in np.flatnonzero(~whole & defined.any(-1)):
        low[row], high[row] = np.quantile(replicates[row, defined[row]], [tail, 1 - tail])
    return low.round(_DECIMALS), high.round(_DECIMALS)


def two_sided_p(replicates: Floats) -> Floats:
    """Two-sided bootstrap p of 'the score is zero' for each row of (K, resamples).

    Twice the smaller share of replicates on either side of zero, zero itself counting for both; the observed sample
    counts as one more replicate, so p is never 0 and at least 2 / (resamples + 1). It agrees with the percentile
    interval: p < 1 - confidence where the interval excludes zero.
    """
    count = np.isfinite(replicates).sum(-1)
    below, above = (replicates <= 0).sum(-1), (replicates >= 0).sum(-1)
    p: Floats = np.minimum(1.0, 2 * (1 + np.minimum(below, above)) / (count + 1))
    return p


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
