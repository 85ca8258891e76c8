"""What a method loses under corruption, and how much of that is due to its features and to its ranking."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pruneproof.reporting import style
from pruneproof.reporting.diagnosis import parts, sentence
from pruneproof.reporting.methods import Method
from pruneproof.reporting.report import Report
from pruneproof.reporting.style import PAGE, Sheet

ORDER = 85
TITLE = "Broken ranking or broken features"
PICTURES = False
PANELS = {"total": "drop", "features": "= features", "ranking": "+ ranking"}
"""Title of each part's panel."""
ROW, AROUND = 0.16, 0.6
"""Inches of height of a row, and of what stands around the rows."""


def caption(report: Report) -> str:
    """One paragraph that lets the figure be read alone."""
    share = 100 * report.study.scoring.confidence
    told = " ".join(f"`{name}`: {sentence(found)}" for name in report.backbones if (found := parts(report, name)))
    return (
        "Points of accuracy that a method loses under corruption, over the conditions that the full model survives, in "
        "two parts. Features: what the same method loses with the tokens that it keeps of the clean picture, read from "
        "the corrupted one. Ranking: what it loses beyond that because it ranks tokens on the corrupted picture; left "
        f"of 0 that helps. Bars are {share:g}% intervals (Student's t over images), without correction for the number "
        f"of methods. {told}"
    )


def frames(report: Report) -> dict[str, pd.DataFrame]:
    """A row for each part of every method that has a twin which ranks tokens on clean pictures."""
    return {f"{name}/ranking_parts": _frame(report, name) for name in report.backbones}


def _frame(report: Report, backbone: str) -> pd.DataFrame:
    rows = [
        (one.method.id, name, part.value, part.low, part.high)
        for one in parts(report, backbone)
        for name, part in (("total", one.total), ("features", one.features), ("ranking", one.ranking))
    ]
    return pd.DataFrame(rows, columns=["method", "part", "value", "low", "high"])


def draw(frame: pd.DataFrame, report: Report, sheet: Sheet = PAGE) -> Figure:
    """Methods down; a panel for each part, all on one scale."""
    present = set(frame["method"])
    methods = [method for method in report.methods if method.id in present]
    figure = style.new_figure(AROUND + ROW * len(methods), sheet)
    panels = figure.subplots(1, len(PANELS), sharex=True, sharey=True)
    for axes, (part, title) in zip(panels, PANELS.items(), strict=True):
        _panel(axes, frame[frame["part"] == part].set_index("method"), methods)
        axes.set_title(title)
    panels[0].set_yticks(range(len(methods)), [method.label for method in methods])
    panels[0].set_ylim(len(methods) - 0.5, -0.5)
    for tick, method in zip(panels[0].get_yticklabels(), methods, strict=True):
        tick.set_color(method.colour)
    panels[0].locator_params(axis="x", nbins=3 if sheet.narrow else 6)
    figure.supxlabel("points of accuracy lost under corruption", fontsize=style.LABEL)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, methods: list[Method]) -> None:
    axes.axvline(0, color=style.GREY, lw=0.8, zorder=1)
    for place, method in enumerate(methods):
        value, low, high = (float(rows.loc[method.id, name]) for name in ("value", "low", "high"))
        axes.errorbar(
            value, place, xerr=[[value - low], [high - value]], color=method.colour, marker=method.marker,
            mfc=method.face, elinewidth=1.0,
        )  # fmt: skip
    axes.tick_params(axis="y", length=0, labelsize=style.LABEL)
