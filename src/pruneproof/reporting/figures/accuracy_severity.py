"""Accuracy over severity, averaged over all image corruptions."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from pruneproof.plurals import number_of
from pruneproof.reporting.figures import _curves
from pruneproof.reporting.report import Report
from pruneproof.reporting.style import PAGE, Sheet

ORDER = 10
TITLE = "Accuracy under image corruption"
PICTURES = False
MEASURES = (_curves.Measure("accuracy (%)", ("accuracy/all",), chance="accuracy/all"),)


def caption(report: Report) -> str:
    """One paragraph that lets the figure be read alone."""
    corruptions = number_of(len(report.perturbations("image")), "image corruption")
    return (
        f"Accuracy over the study's claimed kinds, averaged over {corruptions} at each severity. A "
        "method that is as robust as the full model runs parallel to it; a gap that is already there on clean images "
        f"is the cost of pruning, a gap that widens is a loss of robustness. {_curves.panel_note(report)} "
        f"{_curves.chance_note(report)}"
    )


def frames(report: Report) -> dict[str, pd.DataFrame]:
    """One curve per method and keep ratio."""
    return {f"{name}/accuracy_severity": _curves.curve_frame(report, name, MEASURES) for name in report.backbones}


def draw(frame: pd.DataFrame, report: Report, sheet: Sheet = PAGE) -> Figure:
    """One panel per keep ratio."""
    return _curves.draw_grid(frame, report, sheet, row_height=2.1, drawn=MEASURES)
