"""Hallucination over severity, with the recall and the yes ratio that it must be read with."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from pruneproof.reporting.figures import _curves
from pruneproof.reporting.report import Report

ORDER = 20
TITLE = "Hallucination under image corruption"
SPLITS = ("random", "popular", "adversarial")
MEASURES = (
    _curves.Measure("absent objects\naffirmed (%)", ("hallucination/rate",)),
    _curves.Measure("present objects\naffirmed (%)", tuple(f"pope/recall_{split}" for split in SPLITS)),
    _curves.Measure("answers that\nare yes (%)", tuple(f"pope/yes_ratio_{split}" for split in SPLITS)),
)


def caption(report: Report) -> str:
    """One paragraph that lets the figure be read alone."""
    return (
        "Top: share of absent objects that are affirmed. Middle: share of present objects that are affirmed (recall). "
        "Bottom: share of yes among all answers. A model that only says no more often lowers all three: fewer "
        "hallucinations count as better only where recall holds. Recall and yes ratio are means of POPE's three "
        "splits, "
        "without bands. " + _curves.band_note(report)
    )


def frames(report: Report) -> dict[str, pd.DataFrame]:
    """Three measures for every method and keep ratio."""
    return {f"{name}/hallucination_severity": _curves.curve_frame(report, name, MEASURES) for name in report.backbones}


def draw(frame: pd.DataFrame, report: Report) -> Figure:
    """Measures down, keep ratios across."""
    return _curves.draw_grid(frame, report, row_height=1.45)
