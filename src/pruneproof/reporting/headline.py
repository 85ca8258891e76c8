"""One row per backbone and method with the numbers that matter: `summary.csv` and `metrics.json`."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from pruneproof.reporting.estimates import Estimate
from pruneproof.reporting.methods import Method
from pruneproof.reporting.report import Report

LANGUAGE_MODEL = ("prefill", "decode")
"""Components of the FLOP count that belong to the language model."""

MEASURES = {
    "accuracy_clean": ("accuracy/all", "clean"),
    "accuracy_image": ("accuracy/all", "image"),
    "accuracy_text": ("accuracy/all", "text"),
    "hallucination_clean": ("hallucination/rate", "clean"),
    "hallucination_image": ("hallucination/rate", "image"),
    "pope_f1_clean": ("pope/f1_mean", "clean"),
    "pope_f1_image": ("pope/f1_mean", "image"),
    "unparseable_image": ("hallucination/unparseable", "image"),
    "flip_rate_image": ("robust/flip_rate", "image"),
    "flip_rate_text": ("robust/flip_rate", "text"),
}
"""Column to (metric, family); perturbed values are means over all conditions of the family."""

CONTRASTS = {
    "clean_difference": ("clean/accuracy/all", "clean"),
    "extra_drop_image": ("accuracy/all", "image"),
    "extra_drop_text": ("accuracy/all", "text"),
}
"""Column to (contrast with the baseline, family)."""


def headline(report: Report) -> pd.DataFrame:
    """The table behind `summary.csv`; shares in percent, differences in points, `_low` and `_high` beside each."""
    rows = [_row(report, backbone, method) for backbone in report.backbones for method in report.methods]
    return pd.DataFrame(rows)


def _row(report: Report, backbone: str, method: Method) -> dict[str, Any]:
    row: dict[str, Any] = {
        "backbone": backbone,
        "method": method.id,
        "label": method.label,
        "keep": method.keep if method.keep is not None else math.nan,
        "visual_tokens": report.estimate(backbone, method.id, "tokens/visual").value,
        "flops": report.total_flops(backbone, method.id),
        "flops_ratio": report.flops_ratio(backbone, method.id),
        "language_model_flops_ratio": report.flops_ratio(backbone, method.id, LANGUAGE_MODEL),
    }
    row |= _columns("speedup", report.speedup(backbone, method.id))
    for name, (metric, family) in MEASURES.items():
        row |= _columns(name, report.estimate(backbone, method.id, metric, family))
    for name, (metric, family) in CONTRASTS.items():
        row |= _columns(name, report.contrast(backbone, method.id, metric, family))
    return row


def _columns(name: str, estimate: Estimate) -> dict[str, float]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def metrics(report: Report, table: pd.DataFrame, shown: list[Method]) -> dict[str, Any]:
    """Headline numbers for `metrics.json`: backbone, method, measure; what was not measured is left out.

    Args:
        report: for the baseline.
        table: from `headline`.
        shown: methods to include beside the baseline; with two of them a backbone has 18 numbers.
    """
    levels = ["accuracy_clean", "accuracy_image", "accuracy_text", "hallucination_image"]
    versus = ["extra_drop_image", "extra_drop_text", "flops_ratio"]
    found: dict[str, Any] = {}
    for backbone in report.backbones:
        for method, names in [(report.baseline, levels), *((m.id, levels + versus) for m in shown)]:
            row = table[(table["backbone"] == backbone) & (table["method"] == method)]
            if len(row):
                values = {name: round(float(row[name].iloc[0]), 4) for name in names}
                known = {name: value for name, value in values.items() if not math.isnan(value)}
                found.setdefault(backbone, {})[method] = known
    return found
