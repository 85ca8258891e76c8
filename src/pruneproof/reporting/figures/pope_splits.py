"""POPE by split: accuracy, F1, recall and yes ratio, clean and corrupted."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from pruneproof.reporting import style
from pruneproof.reporting.figures import _curves, _dots
from pruneproof.reporting.report import Report

ORDER = 50
TITLE = "POPE by split"
SPLITS = {"random": "rand.", "popular": "pop.", "adversarial": "adv."}
MEASURES = {"accuracy": "accuracy (%)", "f1": "F1 (%)", "recall": "recall (%)", "yes_ratio": "yes ratio (%)"}
INPUTS = {"clean": "clean images", "image": "all corruptions"}


def caption(report: Report) -> str:
    """One paragraph that lets the figure be read alone."""
    keep = report.shown_keep() or 1.0
    return (
        "POPE as its official scorer counts it, by the way absent objects are drawn (at random, frequent ones, ones "
        f"that often occur together with what is there), with {100 * keep:g}% of the visual tokens kept. Top: clean "
        "images; bottom: mean over all image corruptions. A yes ratio of 50% is unbiased. Dotted: chance."
    )


def frames(report: Report) -> dict[str, pd.DataFrame]:
    """Rows of (input, measure, split, method)."""
    return {f"{name}/pope_splits": _frame(report, name) for name in report.backbones}


def _frame(report: Report, backbone: str) -> pd.DataFrame:
    rows = []
    for family in INPUTS:
        for measure in MEASURES:
            for split in SPLITS:
                for method in report.at_keep(report.shown_keep(), backbone):
                    cell = report.estimate(backbone, method.id, f"pope/{measure}_{split}", family)
                    rows.append((family, measure, split, method.id, cell.value, cell.low, cell.high))
    frame = pd.DataFrame(rows, columns=["input", "measure", "split", "method", "value", "low", "high"])
    return frame.dropna(subset="value").reset_index(drop=True)


def draw(frame: pd.DataFrame, report: Report) -> Figure:
    """Inputs down, measures across; a measure shares its scale."""
    inputs = [name for name in INPUTS if name in set(frame["input"])]
    measures = [name for name in MEASURES if name in set(frame["measure"])]
    splits = [split for split in SPLITS if split in set(frame["split"])]
    methods = _curves.used_methods(frame, report)
    figure = style.new_figure(0.5 + 1.6 * len(inputs))
    grid = figure.subplots(len(inputs), len(measures), sharex=True, sharey="col", squeeze=False)
    for row, family in enumerate(inputs):
        for column, measure in enumerate(measures):
            axes = grid[row][column]
            panel = frame[(frame["input"] == family) & (frame["measure"] == measure)]
            _dots.draw_dots(axes, panel, methods, splits, "split", upright=True)
            axes.set_xticks(range(len(splits)), [SPLITS[split] for split in splits])
            if measure == "accuracy":
                style.chance_line(axes, report.chance_level("pope/accuracy_random"))
            if measure == "yes_ratio":
                axes.axhline(50, color=style.GREY, lw=0.8, ls=(0, (3, 2)), zorder=0)
            if row == 0:
                axes.set_title(MEASURES[measure])
        grid[row][0].set_ylabel(INPUTS[family])
    style.legend_above(figure, _curves.legend_handles(methods, keep=True, line=False))
    return figure
