"""A metric under every condition with what its interval is made from, and its means over groups of conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pruneproof.scoring.bootstrap import expanded_interval, two_sided_p
from pruneproof.scoring.cluster_t import standard_error, t_interval, t_test
from pruneproof.scoring.groups import Group
from pruneproof.scoring.statistics import Ratio, mean_ratio

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One metric under every condition."""

    name: str
    value: Floats
    """(C), nan where undefined."""
    n: Ints
    """(C) answers that the value rests on; 0 = the metric does not exist under that condition."""
    asked: Bools | None = None
    """(C, images) which images the value rests on; None if it has no interval."""
    replicates: Floats | None = None
    """(C, resamples) for an interval from the bootstrap."""
    influence: Floats | None = None
    """(C, images) for an interval from Student's t, instead of replicates: the value is a mean of differences."""
    scale: float = 100.0
    """100 turns shares into percent."""
    decimals: int = 6
    """Decimal places written; fewer for what depends on logits, whose third decimal differs between processors."""


def mean_difference(name: str, values: Floats, image: Ints, images: int) -> Measured:
    """The mean of (C, X) differences, one for each question, with an interval from Student's t.

    Args:
        name: of the metric.
        values: differences in -1..1; nan = not asked.
        image: (X) index of each question's image.
        images: number of images.
    """
    ratio = mean_ratio(values, image, images)
    n = ratio.denominator.sum(-1).astype(int)
    return Measured(name, ratio.estimate, n, ratio.denominator > 0, influence=ratio.influence)


def mean_level(name: str, values: Floats, image: Ints, draws: Floats, scale: float = 100.0) -> Measured:
    """The mean of (C, X) scores, one for each question, with an interval from the bootstrap, inside the scores' range.

    Args:
        name: of the metric.
        values: scores; nan = not asked.
        image: (X) index of each question's image.
        draws: (resamples, images) from `bootstrap.draw_images`.
        scale: 100 turns shares into percent.
    """
    ratio = mean_ratio(values, image, draws.shape[1])
    n = ratio.denominator.sum(-1).astype(int)
    return ratio_level(name, ratio, n, ratio.denominator > 0, draws, scale)


def ratio_level(name: str, ratio: Ratio, n: Ints, asked: Bools, draws: Floats, scale: float = 100.0) -> Measured:
    """A sum over a sum with an interval from the bootstrap; arguments as in `Measured`."""
    return Measured(name, ratio.estimate, n, asked, replicates=ratio.replicates(draws), scale=scale)


def difference(one: Measured, other: Measured) -> Measured:
    """A bootstrapped metric of one method minus that of another, paired resample by resample."""
    replicates = None
    if one.replicates is not None and other.replicates is not None:
        replicates = one.replicates - other.replicates
    asked = one.asked & other.asked if one.asked is not None and other.asked is not None else None
    value, n = one.value - other.value, np.minimum(one.n, other.n)
    return replace(one, value=value, n=n, asked=asked, replicates=replicates)


@dataclass(frozen=True, slots=True)
class Estimate:
    """One metric in one group, scaled."""

    value: float
    low: float
    high: float
    p: float
    """Two-sided p of 'the value is zero'; nan without an interval."""
    n: int


def estimates(measured: Measured, groups: Sequence[Group], confidence: float) -> list[tuple[Group, Estimate]]:
    """The metric in every group in which it exists: the plain mean over the conditions in which it exists.

    Captions, for instance, may be asked under a few conditions only. A value that exists but is undefined (precision
    of a model that never says yes) is never skipped: it makes the mean undefined too.
    """
    kept = [(group, group.members[measured.n[group.members] > 0]) for group in groups]
    kept = [(group, members) for group, members in kept if members.size]
    if not kept:
        return []
    members = [members for _, members in kept]
    value = np.array([measured.value[index].mean() for index in members])
    low, high, p = _spread(measured, value, members, confidence)
    s, decimals = measured.scale, measured.decimals
    low, value, high = (np.round(s * array, decimals) for array in (low, value, high))
    return [
        (group, Estimate(value[i], low[i], high[i], p[i], int(measured.n[index].sum())))
        for i, (group, index) in enumerate(kept)
    ]


def _spread(
    measured: Measured, value: Floats, members: Sequence[Ints], confidence: float
) -> tuple[Floats, Floats, Floats]:
    """Ends of the interval and p of each mean over members, (G); nan where the value is."""
    nothing = np.full(len(members), np.nan)
    if measured.asked is None:
        return nothing, nothing, nothing
    images = np.array([measured.asked[index].any(0).sum() for index in members])
    if measured.influence is not None:
        influence = np.stack([measured.influence[index].mean(0) for index in members])
        error = standard_error(influence, images)
        low, high = t_interval(value, error, images, confidence)
        p = t_test(value, error, images)
    elif measured.replicates is not None:
        replicates = np.stack([measured.replicates[index].mean(0) for index in members])
        low, high = expanded_interval(replicates, images, confidence)
        p = two_sided_p(replicates, images)
    else:
        return nothing, nothing, nothing
    known = np.isfinite(value)
    return np.where(known, low, np.nan), np.where(known, high, np.nan), np.where(known, p, np.nan)
