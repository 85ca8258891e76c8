"""Accuracy by turn of a dialogue, with each question that a method may select its tokens by."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pruneproof.reporting import labels, style
from pruneproof.reporting.figures import _curves
from pruneproof.reporting.methods import Method
from pruneproof.reporting.report import Report
from pruneproof.reporting.style import PAGE, Sheet

ORDER = 65
TITLE = "Later questions on the same image"
PICTURES = False
COLUMNS = ["panel", "select_by", "method", "turn", "value", "low", "high"]
DASHES = {"first": "-", "last": (0, (4, 1.5)), "each": (0, (1, 1))}
MARKERS = {"first": "o", "last": "s", "each": "D"}
MOST = 6
"""Panels."""


def caption(report: Report) -> str:
    """One paragraph that lets the figure be read alone."""
    keep = report.shown_keep() or 1.0
    panels = (
        "One panel for each method that looks at the question: tokens are selected by the dialogue's first question, "
        "by its last, or by each turn's own. For the full model, and for a random choice, which do not look at it, the "
        "image is read at each turn."
    )
    if not any(_asking(report, name) for name in report.backbones):
        panels = "None of the methods shown looks at the question; the image is read at each turn."
    return (
        "Accuracy over the study's claimed kinds by turn of a dialogue on one clean image; every question is asked "
        f"once as each turn, after other questions with their true answers. {panels} {100 * keep:g}% of the visual "
        f"tokens kept. {_curves.band_note(report)} {_curves.chance_note(report)}"
    )


def _asking(report: Report, backbone: str) -> list[Method]:
    """The methods shown that look at the question."""
    own = report.at_keep(report.shown_keep(), backbone)
    return [method for method in own if method.kind == "text-guided"][:MOST]


def frames(report: Report) -> dict[str, pd.DataFrame]:
    """Rows of (panel, select_by, method, turn); the panel is the id of the method that looks at the question."""
    return {f"{name}/dialogue_turns": _frame(report, name) for name in report.backbones}


def _frame(report: Report, backbone: str) -> pd.DataFrame:
    rows = []
    shown, dialogues = report.at_keep(report.shown_keep(), backbone), report.dialogues()
    asking = _asking(report, backbone)
    beside = [method for method in shown if method.id == report.baseline or method.base == "random"]
    for panel in asking or beside[:1]:
        for method in dict.fromkeys([*beside, panel]):
            for chosen in dialogues if method in asking else list(dialogues)[-1:]:
                for turn in report.turns():
                    cell = report.estimate(backbone, method.id, "accuracy/all", "dialogue", dialogues[chosen], turn)
                    rows.append((panel.id, chosen, method.id, turn, cell.value, cell.low, cell.high))
    return pd.DataFrame(rows, columns=COLUMNS).dropna(subset="value").reset_index(drop=True)


def draw(frame: pd.DataFrame, report: Report, sheet: Sheet = PAGE) -> Figure:
    """One panel for each method that looks at the question, with its choices as lines, named where they end."""
    methods = {method.id: method for method in report.methods}
    names = list(dict.fromkeys(frame["panel"]))
    across = min(len(names), 1 if sheet.narrow else 3)
    down = -(-len(names) // across)
    figure = style.new_figure(0.3 + 1.9 * down, sheet)
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    panels = dict(zip(names, grid.flat, strict=False))
    for axes in list(grid.flat)[len(names) :]:
        axes.set_axis_off()
    for name, axes in panels.items():
        _panel(axes, frame[frame["panel"] == name], methods)
        axes.set_title(methods[name].label, color=methods[name].colour)
        style.chance_line(axes, report.chance_level())
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        labels.reserve_ends(axes, [_line_name(methods[n], c) for c, n, _ in _lines(frame[frame["panel"] == name])])
    for axes in grid[:, 0]:
        style.percent_axis(axes, "accuracy (%)")
    for axes in grid[-1]:
        axes.set_xlabel("turn")
    style.settle(figure)
    for name, axes in panels.items():
        _name_lines(axes, frame[frame["panel"] == name], methods)
    return figure


def _lines(rows: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    return [(chosen, name, group) for (name, chosen), group in rows.groupby(["method", "select_by"], sort=False)]


def _line_name(method: Method, chosen: str) -> str:
    return f"by {chosen}" if method.kind == "text-guided" else method.name


def _panel(axes: Axes, rows: pd.DataFrame, methods: dict[str, Method]) -> None:
    for chosen, name, line in _lines(rows):
        method = methods[name]
        before = len(axes.get_lines())
        _curves.draw_curve(axes, line, method, along="turn")
        drawn: Line2D = axes.get_lines()[before]
        if method.kind == "text-guided":
            drawn.set(linestyle=DASHES[chosen], marker=MARKERS[chosen])


def _name_lines(axes: Axes, rows: pd.DataFrame, methods: dict[str, Method]) -> None:
    ends, names, colours = [], [], []
    for chosen, name, line in _lines(rows):
        last = line.loc[line["turn"].idxmax()]
        ends.append((float(last["turn"]), float(last["value"])))
        method = methods[name]
        names.append(_line_name(method, chosen))
        colours.append(method.colour)
    labels.name_ends(axes, ends, names, colours)
