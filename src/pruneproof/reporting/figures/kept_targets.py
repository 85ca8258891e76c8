"""What pruning keeps: patches of the asked object, and the same patches when the image is corrupted."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from pruneproof.reporting.figures import _curves
from pruneproof.reporting.report import Report
from pruneproof.reporting.style import PAGE, Sheet

ORDER = 80
TITLE = "What pruning keeps"
PICTURES = False
MEASURES = (
    _curves.Measure("asked object's\npatches kept (%)", ("tokens/target_kept",), baseline=False),
    _curves.Measure("overlap with tokens kept\non the clean image (%)", ("tokens/overlap_clean",), baseline=False),
)


def caption(report: Report) -> str:
    """One paragraph that lets the figure be read alone."""
    kept = (
        "share of the asked object's patches that are kept; random pruning keeps as large a share as its budget",
        "Jaccard overlap of the tokens kept on the corrupted and on the clean image",
    )
    drawn = {label for frame in frames(report).values() for label in frame["measure"]}
    shown = [text for measure, text in zip(MEASURES, kept, strict=True) if measure.label in drawn]
    places = ("Top: ", "Bottom: ") if len(shown) == len(MEASURES) else ("",)
    told = " ".join(f"{place}{text}." for place, text in zip(places, shown, strict=False))
    return f"{told[:1].upper()}{told[1:]} Means over all corruptions."


def frames(report: Report) -> dict[str, pd.DataFrame]:
    """Two measures for every pruning method and keep ratio."""
    return {f"{name}/kept_targets": _curves.curve_frame(report, name, MEASURES) for name in report.backbones}


def draw(frame: pd.DataFrame, report: Report, sheet: Sheet = PAGE) -> Figure:
    """Measures down, keep ratios across."""
    return _curves.draw_grid(frame, report, sheet, row_height=1.6)
