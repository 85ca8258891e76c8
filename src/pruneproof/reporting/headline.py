"""One row per backbone and method with the numbers that matter: `summary.csv` and `metrics/`."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from pruneproof.reporting.estimates import Estimate
from pruneproof.reporting.methods import Method
from pruneproof.reporting.report import Report
from pruneproof.reporting.score_name import score_name

LIVE = "live"
"""Perturbation of a mean over the conditions that the full model survives, see `scoring.groups`."""
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
    "hallucination_matched_clean": ("hallucination/matched", "clean"),
    "hallucination_matched_image": ("hallucination/matched", "image"),
    "auc_clean": ("sensitivity/auc", "clean"),
    "auc_image": ("sensitivity/auc", "image"),
    "d_prime_clean": ("sensitivity/d_prime", "clean"),
    "d_prime_image": ("sensitivity/d_prime", "image"),
}
"""Column to (metric, family); perturbed values are means over all conditions of the family."""

CONTRASTS = {
    "clean_difference": ("clean/accuracy/all", "clean"),
    "extra_drop_image": ("accuracy/all", "image"),
    "extra_drop_text": ("accuracy/all", "text"),
}
"""Column to (contrast with the baseline, family); perturbed ones are means over live conditions."""

METRICS = {
    "clean": "accuracy_clean",
    "corrupted": "accuracy_image",
    "reworded": "accuracy_text",
    "kept": "retention_image",
    "effective_corrupted": "effective_image",
    "effective_reworded": "effective_text",
    "d_prime": "d_prime_image",
    "invents": "hallucination_matched_image",
    "flops": "flops_ratio",
}
"""Name in the files of `metrics/` to the column it is taken from."""


def headline(report: Report) -> pd.DataFrame:
    """The table of `summary.csv`; shares in percent, differences in points, `_low` and `_high` beside each, and what
    `accuracy` is in `score`."""
    score = {"score": score_name(report)}
    rows = [
        _row(report, backbone, method) | score
        for backbone in report.backbones
        for method in report.methods_of(backbone)
    ]
    return pd.DataFrame(rows)


def _row(report: Report, backbone: str, method: Method) -> dict[str, Any]:
    row: dict[str, Any] = {
        "backbone": backbone,
        "method": method.id,
        "label": method.label,
        "keep": method.keep if method.keep is not None else math.nan,
        "visual_tokens": report.estimate(backbone, method.id, "tokens/visual").value,
        "input_tokens": report.estimate(backbone, method.id, "tokens/input").value,
        "mean_tokens": report.estimate(backbone, method.id, "tokens/layer_mean").value,
        "sequence_length": report.estimate(backbone, method.id, "tokens/sequence").value,
        "flops": report.total_flops(backbone, method.id),
        "flops_ratio": report.flops_ratio(backbone, method.id),
        "language_model_flops_ratio": report.flops_ratio(backbone, method.id, LANGUAGE_MODEL),
    }
    row |= _columns("speedup", report.speedup(backbone, method.id))
    for name, (metric, family) in MEASURES.items():
        row |= _columns(name, report.estimate(backbone, method.id, metric, family))
    for name, (metric, family) in CONTRASTS.items():
        where = "" if family == "clean" else LIVE
        row |= _columns(name, report.contrast(backbone, method.id, metric, family, where))
    for family in ("image", "text"):
        kept = report.estimate(backbone, method.id, "robust/retention", family, LIVE)
        row |= _columns(f"retention_{family}", kept)
        row |= _columns(f"effective_{family}", report.effective_robustness(backbone, method.id, family))
    return row


def _columns(name: str, estimate: Estimate) -> dict[str, float]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def metrics(table: pd.DataFrame) -> dict[tuple[str, str], dict[str, float]]:
    """The few numbers of each backbone and method that `dvc metrics show` puts into one row, under the names that
    `summary` gives them; what was not measured is left out.

    Args:
        table: from `headline`.
    """
    return {
        (row["backbone"], row["method"]): {
            name: round(float(row[column]), 3) for name, column in METRICS.items() if not math.isnan(row[column])
        }
        for row in table.to_dict("records")
    }
