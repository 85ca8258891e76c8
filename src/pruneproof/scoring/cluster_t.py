"""Student's t over images: intervals and p values for means of differences.

Its intervals hold their level with as few as 24 images, where a percentile bootstrap's do not (simulated in
`tests/scoring/test_coverage.py`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from pruneproof.scoring.statistics import DECIMALS

Floats = NDArray[np.float64]


def standard_error(influence: Floats, images: ArrayLike) -> Floats:
    """Cluster-robust standard error with the correction CR1, sqrt(I / (I - 1) x the sum of squared influences).

    That is the sandwich estimator of a regression on a constant with images as clusters (Liang and Zeger, 1986; Cameron
    and Miller, 2015), whose remaining factor (N - 1) / (N - K) is 1 for a constant alone.

    Args:
        influence: (K, images) from `statistics.Ratio.influence`, or means of such over conditions.
        images: (K) or one number, the images that have a question; the others' influence is 0.

    Returns:
        (K); nan below two images.
    """
    count = np.asarray(images, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        corrected = np.where(count > 1, count / (count - 1), np.nan)
    error: Floats = np.sqrt(corrected * (influence**2).sum(-1)).round(DECIMALS)
    return error


def t_interval(value: Floats, error: Floats, images: ArrayLike, confidence: float) -> tuple[Floats, Floats]:
    """Value plus and minus the t quantile with I - 1 degrees of freedom times the standard error, each (K)."""
    count = np.maximum(np.asarray(images, float), 2)
    half = stdtrit(count - 1, (1 + confidence) / 2) * error
    return (value - half).round(DECIMALS), (value + half).round(DECIMALS)


def t_test(value: Floats, error: Floats, images: ArrayLike) -> Floats:
    """Two-sided p of 'the mean is zero', (K): 1 for a mean of zero without any spread, and 0 for another such mean."""
    count = np.maximum(np.asarray(images, float), 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where((value == 0) & (error == 0), 0.0, np.abs(value) / error)
    p: Floats = 2 * stdtr(count - 1, -t)
    return p
