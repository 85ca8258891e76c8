"""Heat map of the difference in drops by corruption and severity."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pruneproof.reporting import style
from pruneproof.reporting.estimates import number
from pruneproof.reporting.methods import Method
from pruneproof.reporting.report import Report

ORDER = 40
TITLE = "Difference in drops"
COLOURS = "RdBu_r"
CELL = 0.22
"""Inches of width that a number needs."""
BESIDE = 0.1
"""Inches between panels."""
ROOM = 5.6
"""Inches that panels have beside the names of the corruptions."""


def caption(report: Report) -> str:
    """One paragraph that lets the figure be read alone."""
    share = 100 * report.study.scoring.confidence
    counts = ", ".join(f"{len(report.floor_cells(b, 'image'))} of {report.cells('image')}" for b in report.backbones)
    return (
        "How many points of accuracy a method loses from clean to corrupted beyond what the full model loses: red "
        "means that the method loses more, blue less, which alone does not show robustness: a model near chance has "
        f"little to lose. Hatched: the full model keeps less than {report.floor} of its lead over chance there, so "
        f"hardly anything can show ({counts} conditions, by backbone). The last row is the mean over all others. Bold: "
        f"the {share:g}% interval (Student's t over images) excludes 0, without correction for the number of cells."
    )


def frames(report: Report) -> dict[str, pd.DataFrame]:
    """Cells of every method that is not a variant and has contrasts."""
    return {f"{name}/drops_heatmap": _frame(report, name) for name in report.backbones}


def _frame(report: Report, backbone: str) -> pd.DataFrame:
    rows = []
    floor = set(report.floor_cells(backbone, "image"))
    for method in (one for one in _ordered(report) if one in report.methods_of(backbone)):
        for name in [*report.perturbations("image"), "live"]:
            for severity in sorted(set(report.study.perturbations.image.severities)):
                cell = report.contrast(backbone, method.id, "accuracy/all", "image", name, severity)
                rows.append((method.id, name, severity, cell.value, cell.low, cell.high, (name, severity) in floor))
    frame = pd.DataFrame(rows, columns=["method", "perturbation", "severity", "value", "low", "high", "floor"])
    return frame.dropna(subset="value").reset_index(drop=True)


def _ordered(report: Report) -> list[Method]:
    """ATP first, then other methods, the random control last; within each, the largest keep first."""
    chosen = [method for method in report.methods if method.id != report.baseline and not method.variant]
    bases = sorted(dict.fromkeys(m.base for m in chosen), key=lambda base: (base == "random", base != "atp"))
    return sorted(chosen, key=lambda method: (bases.index(method.base), -(method.keep or 0.0)))


def draw(frame: pd.DataFrame, report: Report) -> Figure:
    """One panel per method, in as many lines as the numbers need to be legible; all share rows and colours."""
    present = set(frame["method"])
    methods = [method for method in _ordered(report) if method.id in present]
    names = list(dict.fromkeys(frame["perturbation"]))
    severities = sorted(set(frame["severity"]))
    limit = max(float(np.nanquantile(frame["value"].abs(), 0.98)), 1.0)
    down, across = _grid(len(methods), len(severities))
    height = 0.75 + down * (0.45 + 0.19 * len(names))
    figure = style.new_figure(height)
    panels = figure.subplots(down, across, sharey=True, squeeze=False)
    for axes in panels.flat[len(methods) :]:
        axes.set_axis_off()
    for axes, method in zip(panels.flat, methods, strict=False):
        _panel(axes, frame[frame["method"] == method.id], names, severities, limit)
        axes.set_title(style.two_lines(method), fontsize=7, loc="center")
    for axes in panels[-1]:
        axes.set_xlabel("severity")
    panels[0, 0].set_yticks(
        range(len(names)), [style.plain(name) if name != "live" else "mean, unhatched" for name in names]
    )
    scale = ScalarMappable(Normalize(-limit, limit), COLOURS)
    bar = figure.colorbar(
        scale,
        ax=list(panels.flat),
        location="bottom",
        fraction=0.1 / height,
        pad=0.08 / height,
        shrink=0.8,
        aspect=45,
        extend="both",
    )
    bar.set_label("difference in drops (points); red: loses more than the full model")
    bar.outline.set_visible(False)
    return figure


def _grid(panels: int, columns: int) -> tuple[int, int]:
    """Lines of panels, and panels in a line, as even as can be."""
    most = max(1, int(ROOM / (CELL * columns + BESIDE)))
    down = -(-panels // most)
    return down, -(-panels // down)


def _panel(axes: Axes, rows: pd.DataFrame, names: list[str], severities: list[int], limit: float) -> None:
    values = np.full((len(names), len(severities)), np.nan)
    for row in rows.itertuples():
        y, x = names.index(row.perturbation), severities.index(row.severity)
        values[y, x] = row.value
        if row.floor:
            axes.add_patch(
                Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, hatch="/////", ec="#555555", lw=0, alpha=0.5, zorder=2)
            )
        sure = row.low > 0 or row.high < 0
        axes.text(
            x, y, number(row.value, 1 if abs(row.value) < 9.95 else 0), ha="center", va="center", fontsize=5.5,
            weight="bold" if sure else "normal", color="white" if abs(row.value) > 0.65 * limit else "#222222",
        )  # fmt: skip
    axes.imshow(values, cmap=COLOURS, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    axes.set_xticks(range(len(severities)), [str(severity) for severity in severities])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if "live" in names:
        axes.axhline(names.index("live") - 0.5, color="white", lw=3)
