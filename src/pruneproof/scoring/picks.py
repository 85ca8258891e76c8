"""Which method to take, if one may spend a share of the full model's FLOPs and no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pruneproof.scoring.bootstrap import expanded_interval, two_sided_p

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PickRow:
    """One row of `picks.csv`: a method that one can afford, beside the best of those; the best first."""

    backbone: str
    family: str
    """`clean`, or live conditions of a family of perturbations."""
    method: str
    flops_ratio: float
    accuracy: float
    """Percent."""
    accuracy_low: float
    accuracy_high: float
    value: float
    """Points that the best has more, on the same questions; 0 for the best itself."""
    low: float
    high: float
    p: float
    first: float
    """Share of the resamples of images in which this one is the best, in percent; several that are equally good share
    it. The best was chosen on the pictures that it is judged by, which flatters it: this says by how much."""


def pick_rows(
    where: tuple[str, str],
    names: Sequence[str],
    flops: Mapping[str, float],
    accuracy: Mapping[str, Floats],
    images: int,
    confidence: float,
) -> list[PickRow]:
    """Methods by falling accuracy; of equally good ones the cheapest first.

    Args:
        where: backbone and family.
        names: ids of those that one can afford.
        flops: of every method over the full model's.
        accuracy: (1 + resamples) of every method, the observed sample first.
        images: that they rest on.
        confidence: of the intervals.
    """
    if not names:
        return []
    ordered = sorted(names, key=lambda name: (-accuracy[name][0], flops[name]))
    levels = np.stack([accuracy[name] for name in ordered])
    behind = levels[:1] - levels
    wins = levels[:, 1:] == levels[:, 1:].max(0)
    shares = (wins / wins.sum(0)).mean(1)
    low, high = expanded_interval(levels[:, 1:], images, confidence)
    behind_low, behind_high = expanded_interval(behind[:, 1:], images, confidence)
    p = two_sided_p(behind[:, 1:], images)
    numbers = np.stack([levels[:, 0], low, high, behind[:, 0], behind_low, behind_high, shares])
    rows = []
    for name, own, chance in zip(ordered, 100 * numbers.T, p, strict=True):
        level, level_low, level_high, less, less_low, less_high, share = map(float, own)
        accuracies = (level, level_low, level_high)
        rows.append(PickRow(*where, name, flops[name], *accuracies, less, less_low, less_high, float(chance), share))
    return rows
