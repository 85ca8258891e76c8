"""The report's tables as text cells, written once and rendered to LaTeX and HTML."""

from __future__ import annotations

from dataclasses import replace

from pruneproof.records import KINDS
from pruneproof.reporting import paper_claims
from pruneproof.reporting.cost_tables import component_table, family_table, published_table
from pruneproof.reporting.estimates import Contrast, interval, number, p_value
from pruneproof.reporting.methods import Method
from pruneproof.reporting.report import Report
from pruneproof.reporting.style import plain
from pruneproof.reporting.table import Table, known

SPLITS = ("random", "popular", "adversarial")


def tables(report: Report) -> list[Table]:
    """All tables that have something to show: those of the whole study, then those of every backbone."""
    builders = (
        main_table, contrast_table, component_table, pope_table, kind_table, caption_table, corruption_table,
        dialogue_table,
    )  # fmt: skip
    made = [family_table(report, paper_claims.paper_method(report)), published_table(report)]
    made += [replace(build(report, backbone), backbone=backbone) for backbone in report.backbones for build in builders]
    return [table for table in made if table.rows]


def main_table(report: Report, backbone: str) -> Table:
    """Cost, accuracy and hallucination of every method."""
    rows = []
    for method in report.methods:
        tokens = report.estimate(backbone, method.id, "tokens/visual").value
        flops = report.flops_ratio(backbone, method.id)
        cells = [number(tokens, 0), number(100 * flops, 0), number(report.speedup(backbone, method.id).value, 2)]
        cells += [_level(report, backbone, method, "accuracy/all", family) for family in ("clean", "image", "text")]
        cells += [
            _level(report, backbone, method, "hallucination/rate", family) for family in ("clean", "image", "text")
        ]
        cells += [_level(report, backbone, method, "pope/f1_mean", family) for family in ("clean", "image")]
        rows.append((method.label, *cells))
    return Table(
        f"{backbone}_main", "Cost, accuracy and hallucination",
        "Visual tokens at the language model's input, FLOPs of one question relative to the full model (%), latency of "
        "the full model divided by the method's, accuracy over the study's claimed kinds, share of absent objects "
        "affirmed, and mean F1 of POPE's three splits (all in %); clean, and means over all image corruptions and all "
        "rewordings.",
        ("Method", "Tokens", "FLOPs", "Speed-up", "clean", "corrupted", "reworded", "clean", "corrupted", "reworded",
         "clean", "corrupted"),
        tuple(rows), (("", 1), ("Cost", 3), ("Accuracy", 3), ("Hallucination rate", 3), ("POPE F1", 2)),
    )  # fmt: skip


def contrast_table(report: Report, backbone: str) -> Table:
    """Differences with the full model and, where scored, with the random control."""
    rows = []
    for method in report.methods:
        if method.id == report.baseline:
            continue
        clean = report.contrast(backbone, method.id, "clean/accuracy/all")
        drops = [report.contrast(backbone, method.id, "accuracy/all", family) for family in ("image", "text")]
        control = report.control(method)
        versus = [
            report.contrast(backbone, method.id, "accuracy/all", family, baseline=control.id) if control else Contrast()
            for family in ("image", "text")
        ]
        cells = [interval(clean, sign=True)]
        for drop, beside in zip(drops, versus, strict=True):
            cells += [interval(drop, sign=True), p_value(drop.p_holm), interval(beside, sign=True)]
        rows.append((method.label, *cells))
    share = 100 * report.study.scoring.confidence
    return Table(
        f"{backbone}_contrasts", "Paired differences",
        f"Differences in points with {share:g}% intervals (paired bootstrap over images). Clean: accuracy minus the "
        "full model's; higher is better. Difference in drops: points lost from clean to perturbed beyond what the full "
        "model, or the random control with as many tokens, loses; lower is better. p: Holm-corrected over the primary "
        "contrasts.",
        ("Method", "vs full", *("vs full", "p", "vs random") * 2), tuple(rows),
        (("", 1), ("Clean accuracy", 1), ("Drop under corruption", 3), ("Drop under rewording", 3)),
    )  # fmt: skip


def pope_table(report: Report, backbone: str) -> Table:
    """Accuracy, precision, recall, F1 and yes ratio by split on clean images."""
    measures = ("accuracy", "precision", "recall", "f1", "yes_ratio")
    rows = []
    for method in report.methods:
        cells = [
            _level(report, backbone, method, f"pope/{measure}_{split}", "clean")
            for split in SPLITS
            for measure in measures
        ]
        rows.append((method.label, *cells))
    return Table(
        f"{backbone}_pope", "POPE on clean images",
        "POPE as its official scorer counts it, in %; Yes is the share of questions answered yes.",
        ("Method", *("Acc", "P", "R", "F1", "Yes") * 3), known(rows),
        (("", 1), ("Random", 5), ("Popular", 5), ("Adversarial", 5)),
    )  # fmt: skip


def kind_table(report: Report, backbone: str) -> Table:
    """Accuracy by kind of question, clean and corrupted."""
    scored = set(report.summary["metric"])
    kinds = [kind for kind in KINDS if f"accuracy/{kind}" in scored]
    rows = []
    for method in report.methods:
        cells = [
            _level(report, backbone, method, f"accuracy/{kind}", family)
            for family in ("clean", "image")
            for kind in kinds
        ]
        rows.append((method.label, *cells))
    return Table(
        f"{backbone}_kinds", "Accuracy by kind of question",
        "Accuracy in % on clean images and over all image corruptions.",
        ("Method", *(kind.replace("compositional", "two-step") for kind in kinds * 2)), known(rows) if kinds else (),
        (("", 1), ("Clean", len(kinds)), ("Corrupted", len(kinds))),
    )  # fmt: skip


def caption_table(report: Report, backbone: str) -> Table:
    """CHAIR on clean images and over the corruptions under which captions were asked for."""
    rows = []
    for method in report.methods:
        cells = [
            interval(report.estimate(backbone, method.id, f"chair/{name}", family))
            for family in ("clean", "image")
            for name in ("i", "s", "recall")
        ]
        rows.append((method.label, *cells))
    return Table(
        f"{backbone}_captions", "Hallucination in captions",
        "CHAIR_i: mentioned objects that are not there; CHAIR_s: captions with at least one; recall: objects there "
        "that are mentioned (all in %). Corrupted: the conditions under which captions were generated.",
        ("Method", *("CHAIR_i", "CHAIR_s", "Recall") * 2), known(rows), (("", 1), ("Clean", 3), ("Corrupted", 3)),
    )  # fmt: skip


def corruption_table(report: Report, backbone: str) -> Table:
    """Accuracy under every perturbation, mean over severities."""
    methods = [method for method in report.methods if not method.variant]
    rows = []
    for family in ("image", "text"):
        for name in report.perturbations(family):
            cells = [
                number(report.estimate(backbone, m.id, "accuracy/all", family, name, "mean").value) for m in methods
            ]
            rows.append((plain(name), *cells))
    return Table(
        f"{backbone}_perturbations", "Accuracy under every perturbation",
        "Accuracy over the study's claimed kinds in %, mean over severities.",
        ("Perturbation", *(method.label for method in methods)), known(rows),
    )  # fmt: skip


def dialogue_table(report: Report, backbone: str) -> Table:
    """Accuracy at every turn of a dialogue, by the question that tokens are selected by."""
    chosen, turns = report.dialogues(), report.turns()
    rows = []
    for method in report.methods:
        cells = [
            number(report.estimate(backbone, method.id, "accuracy/all", "dialogue", name, turn).value)
            for name in chosen.values()
            for turn in turns
        ]
        rows.append((method.label, *cells))
    return Table(
        f"{backbone}_dialogues", "Accuracy by turn of a dialogue",
        "Accuracy over the study's claimed kinds in %, every question asked once as each turn behind others with their "
        "true answers; tokens selected by the first question of the dialogue, by its last, or anew by each turn's own.",
        ("Method", *(f"turn {turn}" for _ in chosen for turn in turns)), known(rows),
        (("", 1), *((f"by {name}", len(turns)) for name in chosen)),
    )  # fmt: skip


def _level(report: Report, backbone: str, method: Method, metric: str, family: str) -> str:
    return number(report.estimate(backbone, method.id, metric, family).value)
