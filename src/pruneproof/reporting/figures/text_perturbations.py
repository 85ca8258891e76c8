"""What rewording the question costs: accuracy, changed answers, hallucination."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from pruneproof.reporting import style
from pruneproof.reporting.figures import _curves, _dots
from pruneproof.reporting.report import Report

ORDER = 60
TITLE = "Reworded questions"
MEASURES = {
    "robust/drop_all": "accuracy lost (points)",
    "robust/flip_rate": "answers changed (%)",
    "hallucination/rate": "absent objects affirmed (%)",
}


def caption(report: Report) -> str:
    """One paragraph that lets the figure be read alone."""
    keep = report.shown_keep() or 1.0
    return (
        "Questions reworded without changing their answer. Left: points of accuracy lost against the same method's "
        "answers to the original questions. Middle: share of answers that changed. Right: absent objects affirmed; "
        f"dashed lines: with the original questions. {100 * keep:g}% of the visual tokens kept; typos are means over "
        "severities."
    )


def frames(report: Report) -> dict[str, pd.DataFrame]:
    """Rows of (measure, perturbation, method); perturbation `clean` holds the value for the original questions."""
    return {f"{name}/text_perturbations": _frame(report, name) for name in report.backbones}


def _frame(report: Report, backbone: str) -> pd.DataFrame:
    rows = []
    names = report.perturbations("text")
    for metric in MEASURES:
        for name in ["clean", *names] if metric == "hallucination/rate" and names else names:
            for method in report.at_keep(report.shown_keep(), backbone):
                where = ("clean",) if name == "clean" else ("text", name, "mean")
                cell = report.estimate(backbone, method.id, metric, *where)
                rows.append((metric, name, method.id, cell.value, cell.low, cell.high))
    frame = pd.DataFrame(rows, columns=["measure", "perturbation", "method", "value", "low", "high"])
    return frame.dropna(subset="value").reset_index(drop=True)


def draw(frame: pd.DataFrame, report: Report) -> Figure:
    """One panel per measure, one line per rewording."""
    measures = [metric for metric in MEASURES if metric in set(frame["measure"])]
    names = [name for name in dict.fromkeys(frame["perturbation"]) if name != "clean"]
    methods = _curves.used_methods(frame, report)
    figure = style.new_figure(0.85 + 0.3 * len(names))
    panels = figure.subplots(1, len(measures), sharey=True, squeeze=False)[0]
    for axes, metric in zip(panels, measures, strict=True):
        panel = frame[frame["measure"] == metric]
        clean = panel[panel["perturbation"] == "clean"]
        _dots.draw_dots(axes, panel[panel["perturbation"] != "clean"], methods, names, "perturbation", upright=False)
        for row in clean.itertuples():
            axes.axvline(row.value, color=methods[row.method].colour, lw=0.9, ls=(0, (4, 2)), zorder=0)
        if metric == "robust/drop_all":
            axes.axvline(0, color=style.GREY, lw=0.8, zorder=0)
        for edge in range(1, len(names)):
            axes.axhline(edge - 0.5, color="#f0f0f0", lw=0.6, zorder=0)
        axes.set_xlabel(MEASURES[metric])
        axes.set_yticks(range(len(names)), [style.plain(name) for name in names])
    style.legend_above(figure, _curves.legend_handles(methods, keep=True, line=False))
    return figure
