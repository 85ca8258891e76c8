"""Does the ranking of methods on clean pictures predict their ranking under a perturbation? Rank correlations.

Clean and perturbed accuracy come from the same pictures, so that chance moves both rankings alike; and noise in either
lowers the correlation. Two numbers set it right. **Across halves**, the clean ranking on one half of the pictures is
compared with the perturbed ranking on the other, which shares no picture with it. The **ceiling** is how well the
perturbed ranking on one half predicts itself on the other: with so many pictures nothing can predict it better.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from pruneproof.scoring.bootstrap import symmetric_interval
from pruneproof.scoring.stability import Standing
from pruneproof.scoring.statistics import DECIMALS

Floats = NDArray[np.float64]

FEWEST = 5
"""Methods below which a rank correlation says nothing."""
SPLITS = 200
"""Ways of splitting the pictures into halves that are averaged."""


@dataclass(frozen=True, slots=True)
class RankingRow:
    """One row of `ranking.csv`: how well the ranking on clean input predicts that under a perturbation, -1 to 1."""

    backbone: str
    family: str
    among: str
    """`all` methods, or those that read about as many `tokens`."""
    methods: int
    statistic: str
    """`spearman` or `kendall`."""
    value: float
    low: float
    high: float
    across: float
    """From clean pictures of one half to perturbed ones of the other, mean over splits."""
    ceiling: float
    """From perturbed pictures of one half to those of the other."""


def spearman(one: Floats, other: Floats) -> Floats:
    """Spearman's rank correlation of each row, equal values sharing their mean rank.

    Args:
        one: (R, M).
        other: (R, M).

    Returns:
        (R); nan where all values of a side are equal.

    Examples:
        >>> spearman(np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 3.0, 2.0]])).tolist()
        [0.5]
    """
    ranks = [rankdata(side, axis=1) - (side.shape[1] + 1) / 2 for side in (one, other)]
    return _cosine(*ranks)


def kendall(one: Floats, other: Floats) -> Floats:
    """Kendall's tau-b of each row: pairs in the same order less those in opposite order, corrected for ties.

    Args:
        one: (R, M).
        other: (R, M).

    Returns:
        (R); nan where all values of a side are equal.

    Examples:
        >>> kendall(np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 3.0, 2.0]])).round(3).tolist()
        [0.333]
    """
    first, second = np.triu_indices(one.shape[1], 1)
    signs = [np.sign(side[:, first] - side[:, second]) for side in (one, other)]
    return _cosine(*signs)


def _cosine(one: Floats, other: Floats) -> Floats:
    lengths = np.sqrt((one**2).sum(1) * (other**2).sum(1))
    found: Floats = np.divide((one * other).sum(1), lengths, out=np.full(len(one), np.nan), where=lengths > 0)
    return found.round(DECIMALS)


STATISTICS: Mapping[str, Callable[[Floats, Floats], Floats]] = MappingProxyType(
    {"spearman": spearman, "kendall": kendall}
)


def split_images(images: int, rng: np.random.Generator) -> Floats:
    """`SPLITS` random halves of the images and, after them, the other halves: (2 x SPLITS, images) of 1 and 0."""
    order = rng.permuted(np.tile(np.arange(images), (SPLITS, 1)), axis=1)
    halves = (order < images // 2).astype(float)
    return np.concatenate([halves, 1 - halves])


def ranking_rows(
    where: tuple[str, str],
    among: Mapping[str, Sequence[str]],
    whole: Standing,
    halves: Standing,
    confidence: float,
) -> list[RankingRow]:
    """How well clean accuracy ranks methods as perturbed accuracy does, for every set of at least `FEWEST` methods.

    Args:
        where: backbone and family.
        among: name of a set to the ids of its methods.
        whole: accuracies over the family's live conditions, in resamples of the images.
        halves: the same in the weights of `split_images`.
        confidence: of the intervals.
    """
    rows = []
    for name, methods in among.items():
        if len(methods) < FEWEST:
            continue
        clean, perturbed = (np.stack([kind[m] for m in methods], 1) for kind in (whole.clean, whole.perturbed))
        parts = [np.stack([kind[m] for m in methods], 1)[1:] for kind in (halves.clean, halves.perturbed)]
        (clean_half, clean_rest), (half, rest) = (np.split(part, 2) for part in parts)
        for statistic, correlate in STATISTICS.items():
            found = correlate(clean, perturbed)
            low, high = symmetric_interval(found[None, 1:], found[:1], whole.images, confidence)
            across = np.concatenate([correlate(clean_half, rest), correlate(clean_rest, half)])
            ends = (float(found[0]), max(float(low[0]), -1.0), min(float(high[0]), 1.0))
            means = (
                float(np.nanmean(one)) if np.isfinite(one).any() else np.nan for one in (across, correlate(half, rest))
            )
            rows.append(RankingRow(*where, name, len(methods), statistic, *ends, *means))
    return rows
