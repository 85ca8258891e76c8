"""Hallucination over severity at matched recall, and as answered with the recall and the yes ratio to read it with."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from pruneproof.reporting.figures import _curves
from pruneproof.reporting.report import Report, pope_splits
from pruneproof.reporting.style import PAGE, Sheet

ORDER = 20
TITLE = "Hallucination under image corruption"
PICTURES = False


def measures(report: Report) -> tuple[_curves.Measure, ...]:
    """The four, with those of POPE's splits that the study has."""
    return (
        _curves.Measure("absent, affirmed\nat matched\nrecall (%)", ("hallucination/matched",)),
        _curves.Measure("absent objects\naffirmed (%)", ("hallucination/rate",)),
        _curves.Measure("present objects\naffirmed (%)", tuple(f"pope/recall_{s}" for s in pope_splits(report))),
        _curves.Measure("answers that\nare yes (%)", tuple(f"pope/yes_ratio_{s}" for s in pope_splits(report))),
    )


def caption(report: Report) -> str:
    """One paragraph that lets the figure be read alone."""
    return (
        "From the top: share of absent objects that are affirmed once the threshold between yes and no is moved, under "
        "every condition, to the full model's clean recall, by which claims are judged; the same as answered; share of "
        "present objects that are affirmed (recall); share of yes among all answers. A model that only says no more "
        "often lowers the last three and leaves the first. Recall and yes ratio are means of POPE's splits, "
        "without bands. " + _curves.panel_note(report)
    )


def frames(report: Report) -> dict[str, pd.DataFrame]:
    """Four measures for every method and keep ratio."""
    chosen = measures(report)
    return {f"{name}/hallucination_severity": _curves.curve_frame(report, name, chosen) for name in report.backbones}


def draw(frame: pd.DataFrame, report: Report, sheet: Sheet = PAGE) -> Figure:
    """Measures down, keep ratios across."""
    return _curves.draw_grid(frame, report, sheet, row_height=1.45)
