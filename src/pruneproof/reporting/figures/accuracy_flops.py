"""Accuracy against computation: clean, corrupted and reworded."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pruneproof.reporting import style
from pruneproof.reporting.figures import _curves
from pruneproof.reporting.report import Report

ORDER = 70
TITLE = "Accuracy against FLOPs"
INPUTS = {"clean": "clean", "image": "corrupted images", "text": "reworded questions"}


def caption(report: Report) -> str:
    """One paragraph that lets the figure be read alone."""
    return (
        "Accuracy over the study's claimed kinds against the floating-point operations of one question, relative "
        "to the full model (vision tower, scoring, connector and language model together). Lines join the keep ratios "
        "of one method; lone markers are variants. Bars are bootstrap intervals. " + _curves.chance_note(report)
    )


def frames(report: Report) -> dict[str, pd.DataFrame]:
    """Rows of (input, method) with FLOPs in percent of the baseline."""
    return {f"{name}/accuracy_flops": _frame(report, name) for name in report.backbones}


def _frame(report: Report, backbone: str) -> pd.DataFrame:
    rows = []
    full = report.total_flops(backbone, report.baseline)
    for family in INPUTS:
        for method in report.methods_of(backbone):
            flops = report.total_flops(backbone, method.id)
            cell = report.estimate(backbone, method.id, "accuracy/all", family)
            rows.append((family, method.id, flops, 100 * flops / full, cell.value, cell.low, cell.high))
    frame = pd.DataFrame(rows, columns=["input", "method", "flops", "flops_percent", "value", "low", "high"])
    return frame.dropna(subset=["value", "flops_percent"]).reset_index(drop=True)


def draw(frame: pd.DataFrame, report: Report) -> Figure:
    """One panel per kind of input."""
    inputs = [name for name in INPUTS if name in set(frame["input"])]
    methods = _curves.used_methods(frame, report)
    figure = style.new_figure(2.75)
    panels = figure.subplots(1, len(inputs), sharex=True, sharey=True, squeeze=False)[0]
    for axes, family in zip(panels, inputs, strict=True):
        _panel(axes, frame[frame["input"] == family], report)
        axes.set_title(INPUTS[family])
        style.chance_line(axes, report.chance_level())
        axes.set_xlabel("FLOPs (% of full)")
        axes.margins(x=0.2)
    style.percent_axis(panels[0], "accuracy (%)")
    style.legend_above(figure, _curves.legend_handles(methods), columns=4)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, report: Report) -> None:
    methods = _curves.used_methods(rows, report)
    look = rows.assign(name=[methods[name].name for name in rows["method"]])
    for _, group in look.groupby("name", sort=False):
        group = group.sort_values("flops_percent")
        method = methods[group["method"].iloc[0]]
        axes.errorbar(
            group["flops_percent"], group["value"],
            yerr=[group["value"] - group["low"], group["high"] - group["value"]],
            color=method.colour, marker=method.marker, ls=method.line, elinewidth=0.8,
            mfc="white" if method.variant else method.colour,
        )  # fmt: skip
        for row in group.itertuples():
            shown = methods[row.method]
            if shown.base == "atp" and not shown.variant and shown.keep is not None:
                axes.annotate(
                    f"{100 * shown.keep:g}%", (row.flops_percent, row.value), xytext=(-5, 4),
                    textcoords="offset points", fontsize=6.5, color=shown.colour, ha="right",
                )  # fmt: skip
