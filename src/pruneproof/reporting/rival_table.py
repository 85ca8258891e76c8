"""Methods at equal cost, kind by kind: the table of a study of many methods."""

from __future__ import annotations

from pruneproof.plurals import number_of
from pruneproof.reporting.estimates import DASH, Contrast, Estimate, interval, number
from pruneproof.reporting.methods import KIND_NAMES, Method
from pruneproof.reporting.report import Report
from pruneproof.reporting.rivals import counted, has_rivals, kind_means, over_random, time_ratio
from pruneproof.reporting.table import Table

MEASURES = (
    ("effective", "image"), ("effective", "text"), ("over_random/tokens", "image"), ("over_random/flops", "image"),
    ("hallucination/matched", "clean"), ("hallucination/matched", "image"),
)  # fmt: skip
"""Metric of `kinds.csv` and family of every column that has an interval."""
COUNTED = "*"
"""Stands after the name of a method that counts in its kind's mean."""


def rival_table(report: Report, backbone: str) -> Table:
    """Cost, effective robustness, accuracy beyond random pruning, and invented objects: of kinds and of methods."""
    rows: list[tuple[str, ...]] = []
    groups: list[tuple[int, str]] = []
    shown = has_rivals(report, backbone)
    means = {
        measure: {one.kind: one for one in kind_means(report, backbone, *measure)} if shown else {}
        for measure in MEASURES
    }
    entered = counted(report, backbone)
    for method in report.methods_of(backbone) if shown else ():
        if not groups or groups[-1][1] != KIND_NAMES.get(method.kind, method.kind):
            groups.append((len(rows), KIND_NAMES.get(method.kind, method.kind)))
            kind = {measure: found.get(method.kind) for measure, found in means.items()}
            if any(kind.values()):
                cells = (interval(one.estimate if one else Estimate(), sign=True) for one in kind.values())
                rows.append(("mean of the kind", *(DASH,) * 4, *cells))
        rows.append(_row(report, backbone, method, method.id in entered))
    share = 100 * report.study.scoring.confidence
    together = number_of(report.largest_batch(backbone), "question")
    return Table(
        f"{backbone}_rivals", "Methods at equal cost, kind by kind",
        "Tokens: visual ones that a layer of the language model reads, on average. FLOPs and time of one question, and "
        f"time of {together} about one picture, over the full model's. Effective robustness: points of accuracy "
        "above random pruning to the same clean accuracy. Beyond random: points of corrupted accuracy above random "
        "pruning, at the method's own door where there is any, with as many tokens and with as many FLOPs, by mixing "
        "the two controls that cost next less and next more; a dash where none is so cheap. Invents: absent objects "
        "affirmed at the full model's clean recall, points more than the full model. A kind's mean takes each method "
        f"once, with the entry marked {COUNTED}, the one nearest to the most common budget. Brackets: {share:g}% "
        "intervals over pictures, for these methods alone. Corrupted, reworded: over conditions that the full "
        "model survives.",
        ("Method", "Tokens", "FLOPs", "1 question", together, "corrupted", "reworded", "tokens", "FLOPs",
         "clean", "corrupted"),
        tuple(rows),
        (("", 1), ("Cost", 2), ("Time", 2), ("Effective robustness", 2), ("Beyond random at equal", 2), ("Invents", 2)),
        groups=tuple(groups),
    )  # fmt: skip


def _row(report: Report, backbone: str, method: Method, entered: bool) -> tuple[str, ...]:
    budget = report.estimate(backbone, method.id, "tokens/layer_mean").value
    ratios = (
        report.flops_ratio(backbone, method.id),
        *(time_ratio(report, backbone, method.id, together).value for together in (False, True)),
    )
    cells = (interval(measured(report, backbone, method, *measure), sign=True) for measure in MEASURES)
    label = f"{method.label} {COUNTED}" if entered else method.label
    return (label, number(budget, 0), *(number(ratio, 2) for ratio in ratios), *cells)


def measured(report: Report, backbone: str, method: Method, metric: str, family: str) -> Contrast:
    """What `kinds.csv` holds means of, for one method."""
    if metric == "effective":
        return report.effective_robustness(backbone, method.id, family)
    if metric == "hallucination/matched":
        name, where = ("clean/" + metric, "") if family == "clean" else (metric, "live")
        return report.contrast(backbone, method.id, name, family, where)
    return over_random(report, backbone, method.id, metric.removeprefix("over_random/"), family)
