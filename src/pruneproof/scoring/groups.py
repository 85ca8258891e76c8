"""Which conditions a score is averaged over: each alone, each perturbation's severities, a family's conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pruneproof.records import PERTURBED, Condition
from pruneproof.scoring.chance import FLOOR

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]
Bools = NDArray[np.bool_]

MEAN = "mean"
"""Stands in the columns `severity` and `perturbation` for an average over all of them."""

LIVE = "live"
"""Stands in the column `perturbation` for an average over a family's live conditions, see `with_live`."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Conditions that one row of a table covers."""

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


def live_conditions(conditions: Sequence[Condition], kept: Floats) -> Bools:
    """Which conditions count, (C): perturbations only where the full model keeps at least `chance.FLOOR` of its lead.

    Args:
        conditions: all of them.
        kept: (C) retention of the full model; nan does not count.
    """
    return np.array([c.family not in PERTURBED or r >= FLOOR for c, r in zip(conditions, kept, strict=True)], bool)


def with_live(groups: Sequence[Group], live: Bools) -> list[Group]:
    """The groups, and beside every mean over a family the mean over its live conditions, if there are any.

    Where the full model is hardly better than one that sees nothing, no method can lose much, and every difference only
    shrinks. Claims therefore rest on the conditions in which the full model keeps a share of its lead.

    Args:
        groups: from `groups_of`.
        live: from `live_conditions`.
    """
    means = (group for group in groups if group.perturbation == MEAN)
    alive = [Group(g.family, LIVE, g.severity, g.members[live[g.members]]) for g in means]
    return [*groups, *(group for group in alive if group.members.size)]
