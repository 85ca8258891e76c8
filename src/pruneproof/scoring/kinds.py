"""Kinds of method side by side: the mean over a kind's methods, each counting once, in every resample of images.

The interval is over pictures. It holds for these methods, and says nothing about others of their kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pruneproof.pruning.protocol import Kind
from pruneproof.scoring.bootstrap import expanded_interval, two_sided_p
from pruneproof.scoring.statistics import holm

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class KindRow:
    """One row of `kinds.csv`: a mean over the methods of one kind, in points."""

    backbone: str
    kind: Kind
    methods: str
    """Their ids, with spaces between."""
    family: str
    """`clean`, or live conditions of a family of perturbations."""
    metric: str
    """`effective` robustness; `hallucination/matched` beyond the full model's; `over_random/tokens` and
    `over_random/flops`, accuracy beyond that of random pruning at equal cost."""
    value: float
    low: float
    high: float
    p: float
    p_holm: float
    """Holm's correction over the kinds, controls left out; nan (empty) for these."""


def kind_rows(
    where: tuple[str, str],
    metric: str,
    kinds: Mapping[Kind, Sequence[str]],
    values: Mapping[str, Floats],
    images: int,
    confidence: float,
) -> list[KindRow]:
    """A row for every kind of which a method has a value.

    Args:
        where: backbone and family.
        metric: written into every row.
        kinds: the methods of each.
        values: (1 + resamples) of every method, the observed sample first; a method without a value counts for nothing.
        images: that they rest on.
        confidence: of the intervals.
    """
    backbone, family = where
    rows = []
    for kind, names in kinds.items():
        known = [name for name in names if name in values and np.isfinite(values[name][0])]
        if not known:
            continue
        mean = np.mean([values[name] for name in known], axis=0)[None]
        ends = expanded_interval(mean[:, 1:], images, confidence)
        p = float(two_sided_p(mean[:, 1:], images)[0])
        value, low, high = (100 * float(one) for one in (mean[0, 0], *(end[0] for end in ends)))
        rows.append(KindRow(backbone, kind, " ".join(known), family, metric, value, low, high, p, np.nan))
    judged = [row for row in rows if row.kind != "control"]
    adjusted = dict(zip((row.kind for row in judged), holm([row.p for row in judged]).tolist(), strict=True))
    return [replace(row, p_holm=adjusted.get(row.kind, np.nan)) for row in rows]
