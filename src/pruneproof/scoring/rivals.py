"""Every method of one backbone against every other: kinds, rankings, equal costs, and what to pick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pruneproof.pruning.protocol import Kind
from pruneproof.records import PERTURBED
from pruneproof.scoring.controls import curve_entries
from pruneproof.scoring.entries import by_kind, of_one_budget, usable
from pruneproof.scoring.equal_cost import COSTS, EqualCostRow, equal_cost_rows, over_random
from pruneproof.scoring.groups import LIVE, MEAN, Group
from pruneproof.scoring.kinds import KindRow, kind_rows
from pruneproof.scoring.measured import Measured
from pruneproof.scoring.picks import PickRow, pick_rows
from pruneproof.scoring.ranking import RankingRow, ranking_rows
from pruneproof.scoring.stability import Accuracies, Standing, standing_over
from pruneproof.settings import MethodSettings, ScoringSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]


@dataclass(frozen=True, slots=True)
class RivalRows:
    """Rows of `kinds.csv`, `ranking.csv`, `equal_cost.csv` and `picks.csv`."""

    kinds: list[KindRow] = field(default_factory=list)
    ranking: list[RankingRow] = field(default_factory=list)
    equal_cost: list[EqualCostRow] = field(default_factory=list)
    picks: list[PickRow] = field(default_factory=list)

    def extend(self, other: RivalRows) -> None:
        """Add the rows of another backbone."""
        self.kinds.extend(other.kinds)
        self.ranking.extend(other.ranking)
        self.equal_cost.extend(other.equal_cost)
        self.picks.extend(other.picks)


@dataclass(frozen=True, slots=True, eq=False)
class Rivals:
    """What is known of a backbone's methods."""

    backbone: str
    methods: Mapping[str, MethodSettings]
    scoring: ScoringSettings
    tokens: Mapping[str, float]
    """Visual tokens of every method, mean over layers and clean questions."""
    flops: Mapping[str, float]
    """FLOPs of every method over the full model's; empty if not counted."""
    whole: Accuracies
    """In resamples of the images."""
    halves: Accuracies
    """In the weights of `ranking.split_images`."""
    matched: Mapping[str, Measured]
    """`existence.MATCHED` of every method; empty without existence questions."""


def compare(rivals: Rivals, groups: Sequence[Group]) -> RivalRows:
    """All rows of one backbone; `groups` from `groups.with_live`."""
    found = RivalRows()
    names = usable(rivals.methods, rivals.scoring.baseline)
    kinds = by_kind(names, rivals.methods, rivals.tokens)
    clean = [group for group in groups if group.family == "clean"]
    live = [group for group in groups if (group.perturbation, group.severity) == (LIVE, MEAN)]
    for group in [*clean, *live]:
        members = group.members[rivals.whole.asked[group.members].any(-1)]
        if members.size:
            standing = standing_over(rivals.whole, members)
            _at_equal_cost(rivals, group.family, names, kinds, standing, found)
            if group.family in PERTURBED:
                _effective(rivals, group.family, kinds, standing, found)
                sets = {"all": names, "tokens": of_one_budget(names, rivals.tokens)}
                halves = standing_over(rivals.halves, members)
                confidence = rivals.scoring.confidence
                found.ranking.extend(ranking_rows((rivals.backbone, group.family), sets, standing, halves, confidence))
        _invented(rivals, group, kinds, found)
    return found


def _at_equal_cost(
    rivals: Rivals,
    family: str,
    names: list[str],
    kinds: Mapping[Kind, Sequence[str]],
    standing: Standing,
    found: RivalRows,
) -> None:
    """Methods beside random pruning at their own cost, and beside the best that one can afford."""
    where, rest = (rivals.backbone, family), (standing.images, rivals.scoring.confidence)
    accuracy = standing.perturbed
    for cost, spent in zip(COSTS, (rivals.tokens, rivals.flops), strict=True):
        controls = over_random(names, rivals.methods, rivals.scoring.baseline, spent, accuracy)
        found.equal_cost.extend(equal_cost_rows(where, cost, spent, accuracy, controls, *rest))
        more = {name: accuracy[name] - control for name, control in controls.items()}
        found.kinds.extend(kind_rows(where, f"over_random/{cost}", kinds, more, *rest))
    cheap = [name for name in names if rivals.flops.get(name, np.inf) <= rivals.scoring.flops_at_most]
    found.picks.extend(pick_rows(where, cheap, rivals.flops, accuracy, *rest))


def _effective(
    rivals: Rivals, family: str, kinds: Mapping[Kind, Sequence[str]], standing: Standing, found: RivalRows
) -> None:
    """Effective robustness of each kind, without methods at chance: they have no lead to lose (`Standing.compared`)."""
    points = [*curve_entries(rivals.methods), rivals.scoring.baseline]
    above = {
        name: standing.above(name, [point for point in points if point != name])
        for names in kinds.values()
        for name in names
        if standing.clean[name][0] > standing.chance[0]
    }
    where, rest = (rivals.backbone, family), (standing.images, rivals.scoring.confidence)
    found.kinds.extend(kind_rows(where, "effective", kinds, above, *rest))


def _invented(rivals: Rivals, group: Group, kinds: Mapping[Kind, Sequence[str]], found: RivalRows) -> None:
    """Absent objects that each kind affirms beyond the full model, at that one's recall."""
    full = rivals.matched.get(rivals.scoring.baseline)
    if full is None or full.replicates is None or full.asked is None:
        return
    members = group.members[full.n[group.members] > 0]
    if members.size:
        base = _group_mean(full, members)
        more = {name: _group_mean(own, members) - base for name, own in rivals.matched.items()}
        where, images = (rivals.backbone, group.family), int(full.asked[members].any(0).sum())
        found.kinds.extend(kind_rows(where, full.name, kinds, more, images, rivals.scoring.confidence))


def _group_mean(measured: Measured, members: Ints) -> Floats:
    """(1 + resamples) mean over conditions, the observed sample first."""
    assert measured.replicates is not None
    mean: Floats = np.concatenate([measured.value[:, None], measured.replicates], axis=1)[members].mean(0)
    return mean
