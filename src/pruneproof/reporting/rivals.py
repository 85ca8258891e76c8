"""One backbone's methods against each other, looked up in the tables that compare them."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from pruneproof.pruning.protocol import Kind
from pruneproof.reporting.estimates import Contrast, Estimate
from pruneproof.reporting.methods import COLOURS, KIND_NAMES, Method
from pruneproof.reporting.report import ESTIMATE, Report


@dataclass(frozen=True, slots=True)
class KindMean:
    """The mean of one measure over the methods of a kind."""

    kind: Kind
    methods: tuple[str, ...]
    """Their ids."""
    estimate: Contrast

    @property
    def name(self) -> str:
        """What a reader calls the kind."""
        return KIND_NAMES.get(self.kind, self.kind)


def has_rivals(report: Report, backbone: str) -> bool:
    """Whether there are kinds to compare: two or more besides controls, one of them with several methods."""
    found = [one for one in kind_means(report, backbone, "effective", "image") if one.kind != "control"]
    return len(found) > 1 and sum(len(one.methods) for one in found) > len(found)


def kind_means(report: Report, backbone: str, metric: str, family: str) -> list[KindMean]:
    """A measure of every kind, in the order of figures.

    Args:
        report: the study.
        backbone: id.
        metric: as in `kinds.csv`.
        family: `clean`, `image` or `text`; perturbed ones are means over live conditions.
    """
    rows = _rows(report.kinds, backbone=backbone, metric=metric, family=family)
    found = {
        row.kind: KindMean(
            row.kind, tuple(row.methods.split()), Contrast(row.value, row.low, row.high, row.p, row.p_holm)
        )
        for row in rows.itertuples()
    }
    return [found[kind] for kind in COLOURS if kind in found]


def counted(report: Report, backbone: str) -> frozenset[str]:
    """Ids of the methods that stand for themselves in the means over kinds: each method once."""
    rows = _rows(report.kinds, backbone=backbone)
    return frozenset(name for text in rows["methods"] for name in text.split())


def over_random(report: Report, backbone: str, method: str, cost: str, family: str = "image") -> Contrast:
    """Points of accuracy that a method has more than random pruning which costs as much.

    Args:
        report: the study.
        backbone: id.
        method: id.
        cost: what is equal, `tokens` or `flops`.
        family: as in `kind_means`.
    """
    rows = _rows(report.equal_cost, backbone=backbone, method=method, cost=cost, family=family)
    return Contrast(*(float(value) for value in rows.iloc[0][[*ESTIMATE, "p"]])) if len(rows) else Contrast()


def time_ratio(report: Report, backbone: str, method: str, together: bool = False) -> Estimate:
    """Latency over the full model's, with quartiles; arguments as in `Report.speedup`."""
    speedup = report.speedup(backbone, method, together)
    return Estimate(1 / speedup.value, 1 / speedup.high, 1 / speedup.low)


def rankings(report: Report, backbone: str, family: str) -> dict[tuple[str, str], pd.Series]:
    """Rank correlations by (set of methods, statistic), as in `ranking.csv`."""
    rows = _rows(report.ranking, backbone=backbone, family=family)
    return {(row["among"], row["statistic"]): row for _, row in rows.iterrows()}


@dataclass(frozen=True, slots=True)
class Pick:
    """A method that one can afford."""

    method: Method
    flops: float
    """Over the full model's."""
    accuracy: float
    """Percent."""
    behind: Contrast
    """Points behind the best."""
    first: float
    """Percent of the resamples in which it is the best."""


def picks(report: Report, backbone: str, family: str) -> list[Pick]:
    """The methods that one can afford, the best first."""
    known = {method.id: method for method in report.methods_of(backbone)}
    rows = _rows(report.picks, backbone=backbone, family=family)
    return [
        Pick(known[row.method], row.flops_ratio, row.accuracy, Contrast(row.value, row.low, row.high), row.first)
        for row in rows.itertuples()
        if row.method in known
    ]


def _rows(table: pd.DataFrame, **wanted: str) -> pd.DataFrame:
    for column, value in wanted.items():
        table = table[table[column] == value]
    return table
