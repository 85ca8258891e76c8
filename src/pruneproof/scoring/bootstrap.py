"""The paired cluster bootstrap, for scores that are not means of differences: F1, CHAIR, effective robustness, levels.

With few images the percentile interval is too narrow, by sqrt((I - 1) / I) because a resample's spread is that of the
sample and not of the population, and because it has a normal tail where a t tail belongs. The expanded percentile
interval corrects both: its tail is Phi(sqrt(I / (I - 1)) t), with t the quantile of Student's distribution with I - 1
degrees of freedom (Hesterberg, 2015, What Teachers Should Know About the Bootstrap, section 5.3).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from pruneproof.scoring.statistics import DECIMALS

Floats = NDArray[np.float64]


def draw_images(images: int, resamples: int, rng: np.random.Generator) -> Floats:
    """How often each image is drawn in each resample, (resamples, images); every row sums to `images`.

    One draw serves all methods and conditions: that is what pairs them.
    """
    return rng.multinomial(images, np.full(images, 1 / images), size=resamples).astype(float)


def expanded_tail(images: ArrayLike, confidence: float) -> Floats:
    """Share of replicates left out at either end; nan below two images, and (1 - confidence) / 2 for very many."""
    count = np.asarray(images, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        tail = ndtr(np.sqrt(count / (count - 1)) * stdtrit(count - 1, (1 - confidence) / 2))
    return np.where(count > 1, tail, np.nan)


def expanded_interval(replicates: Floats, images: ArrayLike, confidence: float) -> tuple[Floats, Floats]:
    """Expanded percentile interval of each row.

    Args:
        replicates: (K, resamples); resamples in which a score is undefined (nan) are left out.
        images: (K) or one number, the images that the scores rest on.
        confidence: share of intervals that hold the true score.

    Returns:
        Lower and upper ends, (K); nan where no resample is defined, or below two images.
    """
    tail = np.broadcast_to(expanded_tail(images, confidence), len(replicates))
    ordered = np.sort(replicates, axis=-1)
    last = np.isfinite(ordered).sum(-1) - 1
    rows = np.arange(len(ordered))

    def quantile(share: Floats) -> Floats:
        place = np.where(np.isfinite(share) & (last >= 0), share * last, 0.0)
        below = np.floor(place).astype(int)
        above = np.minimum(below + 1, np.maximum(last, 0))
        value = ordered[rows, below] + (place - below) * (ordered[rows, above] - ordered[rows, below])
        return np.where(np.isfinite(share) & (last >= 0), value, np.nan).round(DECIMALS)

    return quantile(tail), quantile(1 - tail)


def symmetric_interval(
    replicates: Floats, value: Floats, images: ArrayLike, confidence: float
) -> tuple[Floats, Floats]:
    """Each value plus and minus the distance from it that a share of its replicates keeps (Hall, 1988).

    For scores that resampling moves to one side, such as a rank correlation, which every bit of noise lowers: the
    replicates then lie around another value, and their percentiles may leave out the one that was observed. The share
    is expanded as in `expanded_interval`.

    Args:
        replicates: (K, resamples); nan is left out.
        value: (K) observed.
        images: (K) or one number, the images that the scores rest on.
        confidence: share of intervals that hold the true score.

    Returns:
        Lower and upper ends, (K); nan where no resample is defined, or below two images.
    """
    tail = np.broadcast_to(expanded_tail(images, confidence), len(replicates))
    half = np.full(len(replicates), np.nan)
    for row, away in enumerate(np.abs(replicates - value[:, None])):
        known = away[np.isfinite(away)]
        if known.size and np.isfinite(tail[row]):
            half[row] = np.quantile(known, 1 - 2 * tail[row])
    return (value - half).round(DECIMALS), (value + half).round(DECIMALS)


def two_sided_p(replicates: Floats, images: ArrayLike) -> Floats:
    """Two-sided p of 'the score is zero' for each row of (K, resamples), the level at which its interval reaches zero.

    The smaller share of replicates on either side of zero, zero itself counting for both, and the observed sample as
    one more replicate, so that p is never 0; that share is the tail of an expanded interval whose confidence is 1 - p.
    nan below two images or where no resample is defined.
    """
    count = np.isfinite(replicates).sum(-1)
    below, above = (replicates <= 0).sum(-1), (replicates >= 0).sum(-1)
    share = np.minimum(0.5, (1 + np.minimum(below, above)) / (count + 1))
    n = np.asarray(images, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stdtr(n - 1, ndtri(share) * np.sqrt((n - 1) / n))
    return np.where((n > 1) & (count > 0), p, np.nan)
