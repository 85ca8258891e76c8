"""Which conditions a score is averaged over: each alone, each perturbation's severities, a family's conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pruneproof.records import PERTURBED, Condition
from pruneproof.scoring.statistics import percentile_interval, two_sided_p

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]

MEAN = "mean"
"""Stands in the columns `severity` and `perturbation` for an average over all of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Conditions that one row of a table stands for."""

    family: str
    perturbation: str
    severity: str
    members: Ints
    """Indices of its conditions."""


def groups_of(conditions: Sequence[Condition]) -> list[Group]:
    """Each condition, each perturbation over its severities, each family at one severity, each family over everything.

    A family's mean gives every condition the same weight, so a perturbation with three severities weighs three times
    one that has a single severity. Families at one severity exist only where all their perturbations share the same
    severities, else points along the curve would stand for different perturbations. Dialogues have no family mean: what
    a method selects by is a choice, not a perturbation among others.
    """
    result = [Group(c.family, c.perturbation, str(c.severity), np.array([i])) for i, c in enumerate(conditions)]
    perturbed = [(i, c) for i, c in enumerate(conditions) if c.family != "clean"]
    for family, name in dict.fromkeys((c.family, c.perturbation) for _, c in perturbed):
        result.append(Group(family, name, MEAN, np.array([i for i, c in perturbed if c.perturbation == name])))
    for family in dict.fromkeys(c.family for _, c in perturbed if c.family in PERTURBED):
        own = [(i, c) for i, c in perturbed if c.family == family]
        severities = sorted({c.severity for _, c in own})
        if len(own) == len(severities) * len({c.perturbation for _, c in own}):
            for severity in severities:
                result.append(
                    Group(family, MEAN, str(severity), np.array([i for i, c in own if c.severity == severity]))
                )
        result.append(Group(family, MEAN, MEAN, np.array([i for i, _ in own])))
    return result


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One metric under every condition."""

    name: str
    value: Floats
    """(C), nan where undefined."""
    replicates: Floats | None
    """(C, resamples); None if the metric has no interval."""
    n: Ints
    """(C) answers behind the value; 0 = the metric does not exist under that condition."""
    scale: float = 100.0
    """100 turns shares into percent."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """One metric in one group, scaled."""

    value: float
    low: float
    high: float
    p: float
    """Two-sided bootstrap p of 'the value is zero'; nan without replicates."""
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
    value = np.array([measured.value[members].mean() for _, members in kept])
    low = high = p = np.full(len(kept), np.nan)
    if measured.replicates is not None:
        replicates = np.stack([measured.replicates[members].mean(0) for _, members in kept])
        low, high = percentile_interval(replicates, confidence)
        p = two_sided_p(replicates)
        undefined = ~np.isfinite(value)
        low[undefined] = high[undefined] = p[undefined] = np.nan
    s = measured.scale
    return [
        (group, Estimate(s * value[i], s * low[i], s * high[i], p[i], int(measured.n[members].sum())))
        for i, (group, members) in enumerate(kept)
    ]
