"""The report's tables as text cells, written once and rendered to LaTeX and HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pruneproof.reporting.budgets import token_cell, token_columns, token_note
from pruneproof.reporting.cost_tables import component_table, family_table, published_table
from pruneproof.reporting.diagnosis import diagnosis_table
from pruneproof.reporting.estimates import Contrast, interval, number, p_value
from pruneproof.reporting.methods import Method, adaptation_note
from pruneproof.reporting.report import Report, asked_kinds, pope_splits
from pruneproof.reporting.rival_table import rival_table
from pruneproof.reporting.scorer_tables import consensus_table, harness_table, scorer_tables
from pruneproof.reporting.style import plain
from pruneproof.reporting.table import Table, known


def tables(report: Report) -> list[Table]:
    """All tables that have something to show, with n in their captions: those of the whole study, the overview first,
    then those of every backbone."""
    builders = (
        rival_table, main_table, stability_table, contrast_table, sensitivity_table, component_table, pope_table,
        harness_table, consensus_table, kind_table, caption_table, corruption_table, dialogue_table, diagnosis_table,
    )  # fmt: skip
    made = [overview_table(report), family_table(report), published_table(report)]
    made += [replace(build(report, backbone), backbone=backbone) for backbone in report.backbones for build in builders]
    made += [
        replace(own, backbone=backbone) for backbone in report.backbones for own in scorer_tables(report, backbone)
    ]
    return [_captioned(report, table) for table in made if table.rows]


def _captioned(report: Report, table: Table) -> Table:
    """The table with what is said under every one: how its methods differ from those of their papers, and n."""
    if table.name == "published_shapes":  # of other runs
        return table
    names = (*table.header, *(row[0] for row in table.rows))
    methods = report.methods_of(table.backbone) if table.backbone else report.methods
    note = adaptation_note(method for method in methods if any(method.title in name for name in names))
    return replace(table, caption=f"{table.caption}{note} {report.sizes}")


def overview_table(report: Report) -> Table:
    """The study in one table: every backbone with every method."""
    rows: list[tuple[str, ...]] = []
    groups = []
    tokens = token_columns(report, ((name, method) for name in report.backbones for method in report.methods_of(name)))
    for backbone in report.backbones:
        groups.append((len(rows), backbone))
        for method in report.methods_of(backbone):
            accuracy = (report.estimate(backbone, method.id, "accuracy/all", family) for family in ("clean", "image"))
            above = (report.effective_robustness(backbone, method.id, family) for family in ("image", "text"))
            matched = (report.estimate(backbone, method.id, "hallucination/matched", f) for f in ("clean", "image"))
            rows.append(
                (
                    method.label, method.kind,
                    *(token_cell(report, backbone, method, metric) for metric in tokens.values()),
                    number(100 * report.flops_ratio(backbone, method.id), 0), *map(interval, accuracy),
                    *(interval(one, sign=True) for one in above), *map(interval, matched),
                )
            )  # fmt: skip
    share = 100 * report.study.scoring.confidence
    return Table(
        "overview", "All backbones and methods",
        f"{token_note(tokens)}; FLOPs of one question over the full model's (%); accuracy over "
        "the study's claimed kinds (%); effective robustness: points of accuracy above random pruning to the same "
        "clean accuracy, over the conditions that the full model survives (above 0: more robust than clean accuracy "
        "predicts); absent objects affirmed at the full model's clean recall (%). "
        f"Brackets: {share:g}% intervals over images. {chance_note(report)}",
        ("Method", "Kind", *tokens, "FLOPs", "clean", "corrupted", "corrupted", "reworded", "clean", "corrupted"),
        tuple(rows),
        (("", 1), ("", 1), ("Cost", len(tokens) + 1), ("Accuracy", 2), ("Effective robustness", 2), ("Invents", 2)),
        groups=tuple(groups) if len(groups) > 1 else (),
    )  # fmt: skip


def main_table(report: Report, backbone: str) -> Table:
    """Cost, accuracy and hallucination of every method."""
    rows = []
    tokens = token_columns(report, ((backbone, method) for method in report.methods_of(backbone)))
    for method in report.methods_of(backbone):
        cells = [token_cell(report, backbone, method, metric) for metric in (*tokens.values(), "tokens/sequence")]
        flops, speedup = report.flops_ratio(backbone, method.id), report.speedup(backbone, method.id).value
        cells += [number(100 * flops, 0), number(speedup, 2)]
        for metric in ("accuracy/all", "hallucination/rate"):
            cells += [_level(report, backbone, method, metric, family) for family in ("clean", "image", "text")]
        cells += [_level(report, backbone, method, "pope/f1_mean", family) for family in ("clean", "image")]
        rows.append((method.label, *cells))
    return Table(
        f"{backbone}_main", "Cost, accuracy and hallucination",
        f"{token_note(tokens)}; prompt: all tokens that the language model's first layer reads; FLOPs of one question "
        "relative to the full model (%), latency of the full model divided by the method's, accuracy over the study's "
        "claimed kinds, share of absent objects affirmed, and mean F1 of POPE's splits (all in %); clean, and "
        f"means over all image corruptions and all rewordings. {chance_note(report)}",
        ("Method", *tokens, "Prompt", "FLOPs", "Speed-up", *("clean", "corrupted", "reworded") * 2, "clean",
         "corrupted"),
        tuple(rows), (("", 1), ("Cost", 3 + len(tokens)), ("Accuracy", 3), ("Hallucination rate", 3), ("POPE F1", 2)),
    )  # fmt: skip


def stability_table(report: Report, backbone: str) -> Table:
    """Retention and effective robustness of every method, and its flips against the full model."""
    rows = []
    for method in report.methods_of(backbone):
        cells = [interval(report.estimate(backbone, method.id, "accuracy/all"))]
        for family in ("image", "text"):
            above = report.effective_robustness(backbone, method.id, family)
            cells += [
                interval(report.estimate(backbone, method.id, "robust/retention", family, "live")),
                interval(above, sign=True), p_value(above.p_holm),
            ]  # fmt: skip
        outcomes = ("correct_to_wrong", "wrong_to_correct", "wrong_to_wrong")
        cells += [_level(report, backbone, method, f"flips_full/{name}", "image") for name in outcomes]
        rows.append((method.label, *cells))
    return Table(
        f"{backbone}_stability", "Retention, effective robustness and flips",
        "Retention: share of its lead over chance that a method keeps (%). Effective: accuracy above random pruning to "
        "the same clean accuracy (points; a random method against the curve of the others); p: Holm-corrected over the "
        "primary methods. Both over live conditions. Flips: answers under corruption that differ from the full model's "
        f"under the same (%), from correct to wrong and so on. {chance_note(report)}",
        ("Method", "accuracy", *("retention", "effective", "p") * 2, "lost", "gained", "other"), tuple(rows),
        (("", 1), ("Clean", 1), ("Corrupted", 3), ("Reworded", 3), ("Flips", 3)),
    )  # fmt: skip


def sensitivity_table(report: Report, backbone: str) -> Table:
    """What existence questions show about a model's sight, its bias towards no, and its confidence."""
    measures = {
        "AUC": ("sensitivity/auc", 1), "d'": ("sensitivity/d_prime", 2), "c": ("sensitivity/criterion", 2),
        "matched": ("hallucination/matched", 1), "raw": ("hallucination/rate", 1), "Brier": ("calibration/brier", 1),
        "ECE": ("calibration/ece", 1),
    }  # fmt: skip
    rows = []
    for method in report.methods_of(backbone):
        cells = [
            interval(report.estimate(backbone, method.id, metric, family), digits)
            for family in ("clean", "image")
            for metric, digits in measures.values()
        ]
        rows.append((method.label, *cells))
    return Table(
        f"{backbone}_sensitivity", "Seeing less, or saying yes less",
        "Existence questions by the logit of yes minus that of no. AUC: area under the ROC curve (%). d' and c: "
        "sensitivity and criterion of signal detection, a positive c leaning towards no. Matched: absent objects "
        "affirmed with the threshold moved to the full model's clean recall (%); raw: as answered. Brier score and "
        "expected calibration error (x 100) of the softmax over yes and no.",
        ("Method", *measures, *measures), known(rows),
        (("", 1), ("Clean", len(measures)), ("Corrupted", len(measures))),
    )  # fmt: skip


def chance_note(report: Report) -> str:
    """The chance level, for captions of tables with accuracies."""
    return f"Chance: {number(report.chance_level())}%."


def kind_chance(report: Report, kinds: Sequence[str]) -> str:
    """The chance level of each kind."""
    return _chances(
        report, {kind.replace("compositional", "two-step").replace("_", " "): f"accuracy/{kind}" for kind in kinds}
    )


def _chances(report: Report, metrics: Mapping[str, str]) -> str:
    """The chance levels of several accuracies, by what they are called."""
    levels = (f"{name} {number(report.chance_level(metric))}%" for name, metric in metrics.items())
    return f"Chance: {', '.join(levels)}."


def contrast_table(report: Report, backbone: str) -> Table:
    """Differences with the full model and, where scored, with the random control."""
    rows = []
    for method in report.methods_of(backbone):
        if method.id == report.baseline:
            continue
        clean = report.contrast(backbone, method.id, "clean/accuracy/all")
        drops = [report.contrast(backbone, method.id, "accuracy/all", family, "live") for family in ("image", "text")]
        control = report.control(method, backbone)
        versus = [
            report.contrast(backbone, method.id, "accuracy/all", family, "live", baseline=control.id)
            if control
            else Contrast()
            for family in ("image", "text")
        ]
        cells = [interval(clean, sign=True)]
        for drop, beside in zip(drops, versus, strict=True):
            cells += [interval(drop, sign=True), p_value(drop.p_holm), interval(beside, sign=True)]
        rows.append((method.label, *cells))
    share = 100 * report.study.scoring.confidence
    return Table(
        f"{backbone}_contrasts", "Paired differences",
        f"Differences in points with {share:g}% intervals (Student's t over images). Clean: accuracy minus the "
        "full model's; higher is better. Difference in drops: points lost from clean to perturbed beyond what the full "
        "model, or the random control with as many tokens, loses; lower is better, but a model near chance "
        "loses little; over live conditions. p: Holm-corrected over the primary contrasts.",
        ("Method", "vs full", *("vs full", "p", "vs random") * 2), tuple(rows),
        (("", 1), ("Clean accuracy", 1), ("Drop under corruption", 3), ("Drop under rewording", 3)),
    )  # fmt: skip


def pope_table(report: Report, backbone: str) -> Table:
    """Accuracy, F1 and yes ratio by split on clean images, and F1 over all corruptions."""
    measures = (("accuracy", "clean"), ("f1", "clean"), ("yes_ratio", "clean"), ("f1", "image"))
    splits = pope_splits(report)
    rows = []
    for method in report.methods_of(backbone):
        cells = [
            _level(report, backbone, method, f"pope/{measure}_{split}", family)
            for split in splits
            for measure, family in measures
        ]
        rows.append((method.label, *cells))
    return Table(
        f"{backbone}_pope", "POPE by split",
        "POPE as its official scorer counts it, in %, by the way absent objects are drawn: at random, frequent ones, "
        "ones that often occur together with what is there. Clean images, and F1 over all image corruptions. Yes is "
        "the share of questions answered yes; 50% is unbiased. Accuracy by "
        + _chances(report, {split: f"pope/accuracy_{split}" for split in splits}).lower(),
        ("Method", *("Acc", "F1", "Yes", "F1 corrupted") * len(splits)), known(rows) if splits else (),
        (("", 1), *((split.capitalize(), 4) for split in splits)),
    )  # fmt: skip


def kind_table(report: Report, backbone: str) -> Table:
    """Accuracy by kind of question, clean and corrupted."""
    kinds = asked_kinds(report)
    rows = []
    for method in report.methods_of(backbone):
        cells = [
            _level(report, backbone, method, f"accuracy/{kind}", family)
            for family in ("clean", "image")
            for kind in kinds
        ]
        rows.append((method.label, *cells))
    return Table(
        f"{backbone}_kinds", "Accuracy by kind of question",
        f"Accuracy in % on clean images and over all image corruptions. {kind_chance(report, kinds)}",
        ("Method", *map(_heading, kinds * 2)), known(rows) if kinds else (),
        (("", 1), ("Clean", len(kinds)), ("Corrupted", len(kinds))),
    )  # fmt: skip


def _heading(kind: str) -> str:
    return kind.replace("compositional", "two-step").replace("_", " ")


def caption_table(report: Report, backbone: str) -> Table:
    """CHAIR on clean images and over the corruptions under which captions were asked for."""
    rows = []
    for method in report.methods_of(backbone):
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
    methods = [method for method in report.methods_of(backbone) if not method.variant]
    rows = []
    for family in ("image", "text"):
        for name in report.perturbations(family):
            cells = [interval(report.estimate(backbone, m.id, "accuracy/all", family, name, "mean")) for m in methods]
            rows.append((plain(name), *cells))
    return Table(
        f"{backbone}_perturbations", "Accuracy under every perturbation",
        f"Accuracy over the study's claimed kinds in %, mean over severities. {chance_note(report)}",
        ("Perturbation", *(method.label for method in methods)), known(rows),
    )  # fmt: skip


def dialogue_table(report: Report, backbone: str) -> Table:
    """Accuracy at every turn of a dialogue, by the question that tokens are selected by."""
    chosen, turns = report.dialogues(), report.turns()
    rows = []
    for method in report.methods_of(backbone):
        cells = [
            interval(report.estimate(backbone, method.id, "accuracy/all", "dialogue", name, turn))
            for name in chosen.values()
            for turn in turns
        ]
        rows.append((method.label, *cells))
    return Table(
        f"{backbone}_dialogues", "Accuracy by turn of a dialogue",
        "Accuracy over the study's claimed kinds in %, every question asked once as each turn after others with their "
        "true answers; tokens selected by the first question of the dialogue, by its last, or by each turn's own. "
        f"{chance_note(report)}",
        ("Method", *(f"turn {turn}" for _ in chosen for turn in turns)), known(rows),
        (("", 1), *((f"by {name}", len(turns)) for name in chosen)),
    )  # fmt: skip


def _level(report: Report, backbone: str, method: Method, metric: str, family: str) -> str:
    return interval(report.estimate(backbone, method.id, metric, family))
