"""Accuracy by turn of a dialogue, for each question that a method may select its tokens by."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pruneproof.reporting import style
from pruneproof.reporting.figures import _curves
from pruneproof.reporting.report import Report

ORDER = 65
TITLE = "Later questions on the same image"
COLUMNS = ["select_by", "method", "turn", "value", "low", "high"]


def caption(report: Report) -> str:
    """One paragraph that lets the figure be read alone."""
    keep = report.shown_keep() or 1.0
    return (
        "Accuracy over the study's claimed kinds by turn of a dialogue on one clean image; every question is asked "
        "once as each turn, after other questions with their true answers. Tokens are selected by the dialogue's "
        "first question, by its last, or by each turn's own; a method that does not look at the question differs "
        f"between panels by chance alone. {100 * keep:g}% of the visual tokens kept. {_curves.band_note(report)} "
        f"{_curves.chance_note(report)}"
    )


def frames(report: Report) -> dict[str, pd.DataFrame]:
    """Rows of (select_by, method, turn)."""
    return {f"{name}/dialogue_turns": _frame(report, name) for name in report.backbones}


def _frame(report: Report, backbone: str) -> pd.DataFrame:
    rows = []
    for chosen, name in report.dialogues().items():
        for method in report.at_keep(report.shown_keep(), backbone):
            for turn in report.turns():
                cell = report.estimate(backbone, method.id, "accuracy/all", "dialogue", name, turn)
                rows.append((chosen, method.id, turn, cell.value, cell.low, cell.high))
    return pd.DataFrame(rows, columns=COLUMNS).dropna(subset="value").reset_index(drop=True)


def draw(frame: pd.DataFrame, report: Report) -> Figure:
    """One panel for each choice."""
    chosen = list(dict.fromkeys(frame["select_by"]))
    methods = _curves.used_methods(frame, report)
    figure = style.new_figure(2.5)
    panels = figure.subplots(1, len(chosen), sharex=True, sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, chosen, strict=True):
        for method_id, rows in frame[frame["select_by"] == name].groupby("method", sort=False):
            _curves.draw_curve(axes, rows, methods[method_id], along="turn")
        axes.set_title(f"selected by {name} turn's question" if name == "each" else f"selected by the {name} question")
        style.chance_line(axes, report.chance_level())
        axes.set_xlabel("turn")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    style.percent_axis(panels[0], "accuracy (%)")
    style.legend_above(figure, _curves.legend_handles(methods, keep=True))
    return figure
