"""Methods beside random pruning at the same cost: never at the same value of an option."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pruneproof import pruning
from pruneproof.scoring.bootstrap import expanded_interval, two_sided_p
from pruneproof.scoring.controls import at_cost, controls_beside
from pruneproof.settings import MethodSettings

Floats = NDArray[np.float64]

COSTS = ("tokens", "flops")
"""What is held equal: visual tokens as a mean over the language model's layers, or FLOPs of one question."""


@dataclass(frozen=True, slots=True)
class EqualCostRow:
    """One row of `equal_cost.csv`: a method's accuracy beside that of random pruning which costs as much."""

    backbone: str
    method: str
    family: str
    """`clean`, or live conditions of a family of perturbations."""
    cost: str
    """One of `COSTS`."""
    spent: float
    """Tokens, or FLOPs over the full model's."""
    accuracy: float
    """Of the method, in percent."""
    control: float
    """Of random pruning at that cost, in percent; nan if the method is cheaper than any."""
    value: float
    """Points that the method has more."""
    low: float
    high: float
    p: float


def over_random(
    names: list[str],
    methods: Mapping[str, MethodSettings],
    baseline: str,
    spent: Mapping[str, float],
    accuracy: Mapping[str, Floats],
) -> dict[str, Floats]:
    """Accuracy of random pruning at each method's own cost, (1 + resamples), the observed sample first.

    Random pruning acts at the method's own door if the study has it there, and the full model is the dearest control.

    Args:
        names: ids of the methods; random ones are left out.
        methods: that the backbone is run with.
        baseline: id of the full model.
        spent: what every method costs; those of unknown cost are left out.
        accuracy: (1 + resamples) of every method.
    """
    found = {}
    for name in names:
        beside = [one for one in controls_beside(methods, pruning.load(methods[name]).door) if one in spent]
        if methods[name].method == "random" or name not in spent or baseline not in spent or not beside:
            continue
        points = [*beside, baseline]
        costs = np.array([spent[point] for point in points])
        found[name] = at_cost(spent[name], costs, np.stack([accuracy[point] for point in points]))
    return found


def equal_cost_rows(
    where: tuple[str, str],
    cost: str,
    spent: Mapping[str, float],
    accuracy: Mapping[str, Floats],
    controls: Mapping[str, Floats],
    images: int,
    confidence: float,
) -> list[EqualCostRow]:
    """A row for each method of `controls`.

    Args:
        where: backbone and family.
        cost: one of `COSTS`.
        spent: what every method costs.
        accuracy: (1 + resamples) of every method.
        controls: from `over_random`.
        images: that they rest on.
        confidence: of the intervals.
    """
    backbone, family = where
    rows = []
    for name, control in controls.items():
        more = (accuracy[name] - control)[None]
        low, high = expanded_interval(more[:, 1:], images, confidence)
        level, beside, value, below, above = (
            100 * float(one[0]) for one in (accuracy[name], control, more[0], low, high)
        )
        p = float(two_sided_p(more[:, 1:], images)[0])
        rows.append(EqualCostRow(backbone, name, family, cost, spent[name], level, beside, value, below, above, p))
    return rows
