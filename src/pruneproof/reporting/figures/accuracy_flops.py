"""Accuracy against computation, clean and corrupted, with the front of methods that none beats at both."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pruneproof.reporting import labels, style
from pruneproof.reporting.figures import _curves
from pruneproof.reporting.placement import Bools, Floats
from pruneproof.reporting.report import Report
from pruneproof.reporting.style import PAGE, Sheet

ORDER = 70
TITLE = "Accuracy against FLOPs"
PICTURES = False
INPUTS = {"clean": "clean", "image": "corrupted images"}
MARKER = 4.5
"""Size of the points, in typographic points."""


def caption(report: Report) -> str:
    """One paragraph that lets the figure be read alone."""
    return (
        "Accuracy over the study's claimed kinds against the floating-point operations of one question, relative "
        "to the full model (vision tower, scoring, connector and language model together). The line is the Pareto "
        "front: no method on it is beaten at both. Colour: kind of method; hollow: variants. Bars are bootstrap "
        f"intervals. {labels.LEFT_OUT}" + _curves.chance_note(report)
    )


def frames(report: Report) -> dict[str, pd.DataFrame]:
    """Rows of (input, method) with FLOPs in percent of the baseline, and whether the method is on the front; without
    diagnoses, which nobody can run."""
    return {f"{name}/accuracy_flops": _frame(report, name) for name in report.backbones}


def _frame(report: Report, backbone: str) -> pd.DataFrame:
    rows = []
    full = report.total_flops(backbone, report.baseline)
    for family in INPUTS:
        for method in (one for one in report.methods_of(backbone) if not one.diagnosis):
            flops = report.total_flops(backbone, method.id)
            cell = report.estimate(backbone, method.id, "accuracy/all", family)
            rows.append((family, method.id, flops, 100 * flops / full, cell.value, cell.low, cell.high))
    frame = pd.DataFrame(rows, columns=["input", "method", "flops", "flops_percent", "value", "low", "high"])
    frame = frame.dropna(subset=["value", "flops_percent"]).reset_index(drop=True)
    parts = [
        pareto(rows["flops"].to_numpy(float), rows["value"].to_numpy(float))
        for _, rows in frame.groupby("input", sort=False)
    ]
    return frame.assign(front=np.concatenate(parts) if parts else [])


def pareto(costs: Floats, values: Floats) -> Bools:
    """Whether each point is on the front: no other one costs at most as much and is worth at least as much, unless it
    equals it in both.

    Examples:
        >>> pareto(np.array([1.0, 2.0, 3.0, 3.0]), np.array([5.0, 4.0, 6.0, 6.0])).tolist()
        [True, False, True, True]
    """
    no_dearer, no_worse = costs[None] <= costs[:, None], values[None] >= values[:, None]
    better = (costs[None] < costs[:, None]) | (values[None] > values[:, None])
    found: Bools = np.logical_not((no_dearer & no_worse & better).any(axis=1))
    return found


def draw(frame: pd.DataFrame, report: Report, sheet: Sheet = PAGE) -> Figure:
    """One panel per kind of input."""
    inputs = [name for name in INPUTS if name in set(frame["input"])]
    key = style.kind_key(_curves.used_methods(frame, report).values())
    lines = len(inputs) if sheet.narrow else 1
    figure = style.new_figure((2.9 if sheet.narrow else 3.5) * lines + style.legend_height(key, sheet), sheet)
    panels = figure.subplots(lines, -(-len(inputs) // lines), sharex=True, sharey=True, squeeze=False).ravel()
    for axes, family in zip(panels, inputs, strict=True):
        _panel(axes, frame[frame["input"] == family], report)
        axes.set_title(INPUTS[family])
        style.chance_line(axes, report.chance_level())
        axes.margins(0.08)
    for axes in panels if sheet.narrow else panels[:1]:
        style.percent_axis(axes, "accuracy (%)")
    for axes in panels[-1:] if sheet.narrow else panels:
        style.percent_axis(axes, "FLOPs (% of full)", along="x", beyond=True)
    style.legend_above(figure, key)
    style.settle(figure)
    for axes, family in zip(panels, inputs, strict=True):
        _name_points(axes, frame[frame["input"] == family], report)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, report: Report) -> None:
    front = rows[rows["front"]].sort_values(["flops_percent", "value"])
    axes.step(front["flops_percent"], front["value"], where="post", color="#444444", lw=0.8, zorder=1, gid="front")
    methods = _curves.used_methods(rows, report)
    for row in rows.itertuples():
        method = methods[row.method]
        axes.errorbar(
            row.flops_percent, row.value, yerr=[[row.value - row.low], [row.high - row.value]], color=method.colour,
            marker=method.marker, mfc=method.face, ms=MARKER, ls="none", elinewidth=0.5,
        )  # fmt: skip


def _name_points(axes: Axes, rows: pd.DataFrame, report: Report) -> None:
    methods = _curves.used_methods(rows, report)
    front = rows[rows["front"]].sort_values(["flops_percent", "value"])[["flops_percent", "value"]].to_numpy(float)
    bars = list(zip(rows["flops_percent"], rows["low"], rows["high"], strict=True))
    labels.name_points(
        axes, list(zip(rows["flops_percent"], rows["value"], strict=True)),
        [methods[name].label for name in rows["method"]], [methods[name].colour for name in rows["method"]],
        marker=MARKER, curve=front, bars=bars, bold=list(rows["front"]),
    )  # fmt: skip
