"""Accuracy over severity, one small panel per image corruption."""

from __future__ import annotations

import math
import textwrap

import pandas as pd
from matplotlib.figure import Figure

from pruneproof.reporting import style
from pruneproof.reporting.figures import _curves
from pruneproof.reporting.report import Report
from pruneproof.reporting.style import PAGE, Sheet

ORDER = 30
TITLE = "Accuracy under each corruption"
PICTURES = False
ACROSS = 6


def caption(report: Report) -> str:
    """One paragraph that lets the figure be read alone."""
    keep = report.shown_keep() or 1.0
    return (
        f"Accuracy over the study's claimed kinds under each image corruption, with {100 * keep:g}% of the visual "
        f"tokens kept. {_curves.panel_note(report)} {_curves.chance_note(report)}"
    )


def frames(report: Report) -> dict[str, pd.DataFrame]:
    """One curve per method and corruption at the keep ratio shown."""
    return {f"{name}/accuracy_corruptions": _frame(report, name) for name in report.backbones}


def _frame(report: Report, backbone: str) -> pd.DataFrame:
    rows = []
    for name in report.perturbations("image"):
        for method in report.at_keep(report.shown_keep(), backbone):
            for severity in _curves.severities(report):
                cell = _curves.mean_of(report, backbone, method.id, ("accuracy/all",), severity, name)
                rows.append((name, method.id, severity, cell.value, cell.low, cell.high))
    frame = pd.DataFrame(rows, columns=["perturbation", "method", "severity", "value", "low", "high"])
    return frame.dropna(subset="value").reset_index(drop=True)


def draw(frame: pd.DataFrame, report: Report, sheet: Sheet = PAGE) -> Figure:
    """Panels share both axes; lines end too close to each other to be named there, so a legend is above."""
    names = list(dict.fromkeys(frame["perturbation"]))
    across = min(3 if sheet.narrow else 6, len(names))
    down = math.ceil(len(names) / across)
    methods = _curves.used_methods(frame, report)
    legend = _curves.legend_handles(methods, keep=True)
    figure = style.new_figure(0.4 + 1.2 * down + style.legend_height(legend, sheet), sheet)
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    ticks = sorted(set(frame["severity"]))
    for index, axes in enumerate(grid.flat):
        if index >= len(names):
            axes.set_axis_off()
            continue
        title = textwrap.fill(style.plain(names[index]), 14)
        axes.set_title(title, fontsize=style.LABEL, fontweight="normal")
        for method_id, rows in frame[frame["perturbation"] == names[index]].groupby("method", sort=False):
            method = methods[method_id]
            _curves.draw_curve(axes, rows, method, band=_curves.has_band(method, len(methods)))
        style.chance_line(axes, report.chance_level())
        _curves.severity_axis(axes, ticks, short=True)
        axes.set_xlabel("")
        axes.tick_params(labelbottom=index + across >= len(names))
        for line in (line for line in axes.get_lines() if line.get_gid() != "chance"):
            line.set(markersize=2.5, linewidth=1.0)
    style.percent_axis(grid[0][0])
    figure.supylabel("accuracy (%)", fontsize=7.5, color="#333333")
    figure.supxlabel("severity (0: clean)", fontsize=7.5, color="#333333")
    style.legend_above(figure, legend)
    return figure
