"""A broken ranking or broken features: what corruption takes from a method, in two parts.

A twin with `rank_from: clean` keeps the tokens that the method keeps of the clean picture, and reads them from the
corrupted one. What the twin loses is due to its features; what the method loses beyond that is due to its ranking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pruneproof.plurals import number_of
from pruneproof.reporting.beyond_chance import ALL, no_baseline, shortfall
from pruneproof.reporting.estimates import Contrast, Estimate, interval
from pruneproof.reporting.methods import Method
from pruneproof.reporting.report import Report
from pruneproof.reporting.table import Table


@dataclass(frozen=True, slots=True)
class Parts:
    """The points of accuracy that a method loses under corruption, over the conditions that the full model survives."""

    method: Method
    total: Estimate
    features: Estimate
    """What its twin loses."""
    ranking: Contrast
    """What it loses beyond its twin, question by question: with `features` it adds up to `total`."""
    at_chance: bool = False
    """Whether it, or the full model, is not shown to be better than chance: it then has nothing to lose."""

    @property
    def reading(self) -> str:
        """What the interval of `ranking` says."""
        if self.at_chance:
            return "not judged: at chance"
        if self.ranking.low > 0:
            return "ranking costs"
        return "ranking helps" if self.ranking.high < 0 else "cannot be told"


def parts(report: Report, backbone: str) -> list[Parts]:
    """The two parts of every method that has a twin, in the order of methods."""
    found = []
    for method in report.methods_of(backbone):
        if (twin := report.clean_twin(method, backbone)) is None:
            continue
        total, features = (
            report.estimate(backbone, one.id, "robust/drop_all", "image", "live") for one in (method, twin)
        )
        ranking = report.contrast(backbone, method.id, "accuracy/all", "image", "live", baseline=twin.id)
        if ranking.known:
            poor = no_baseline(report, backbone, ALL) or shortfall(report, backbone, method.id, ALL)
            found.append(Parts(method, total, features, ranking, bool(poor)))
    return found


def sentence(found: Sequence[Parts]) -> str:
    """`Ranking costs 1 of 3 methods accuracy (most: ...), helps none, and cannot be told for 2.`"""
    costs, helps, untold = (
        [one for one in found if one.reading == reading]
        for reading in ("ranking costs", "ranking helps", "cannot be told")
    )
    most = max(costs, key=lambda one: one.ranking.value, default=None)
    named = f" (most: {most.method.label}, {interval(most.ranking, sign=True, unit=' points')})" if most else ""
    poor = sum(one.at_chance for one in found)
    told = f" {number_of(poor, 'method')} at chance {'is' if poor == 1 else 'are'} not judged." if poor else ""
    return (
        f"A ranking broken by corruption costs accuracy for {len(costs)} of {number_of(len(found), 'method')}{named}, "
        f"helps for {len(helps)}, and makes no difference that could be told for {len(untold)}.{told}"
    )


def diagnosis_table(report: Report, backbone: str) -> Table:
    """The two parts of every method that has a twin."""
    found = parts(report, backbone)
    rows = [
        (one.method.label, *(interval(part, sign=True) for part in (one.total, one.features, one.ranking)), one.reading)
        for one in found
    ]
    share = 100 * report.study.scoring.confidence
    return Table(
        f"{backbone}_ranking_parts", "Broken ranking or broken features",
        "Points of accuracy lost under corruption, over the conditions that the full model survives: in all; by the "
        "same method looking at the clean picture (`rank_from: clean`), which loses to broken features alone; and the "
        f"paired difference of the two, which its own ranking costs. {share:g}% intervals (Student's t over images), "
        f"without correction for the number of methods. {sentence(found)}",
        ("Method", "drop", "features", "ranking", "reading"), tuple(rows),
    )  # fmt: skip
