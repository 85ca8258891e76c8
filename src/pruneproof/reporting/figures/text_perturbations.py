"""What rewording the question costs: accuracy, changed answers, hallucination."""

from __future__ import annotations

import pandas as pd
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from pruneproof.reporting import style
from pruneproof.reporting.figures import _curves, _maps
from pruneproof.reporting.report import Report
from pruneproof.reporting.style import PAGE, Sheet

ORDER = 60
TITLE = "Reworded questions"
PICTURES = False
MEASURES = {
    "robust/drop_all": "accuracy lost (points)",
    "robust/flip_rate": "answers changed (%)",
    "hallucination/rate": "absent, affirmed (%)",
}
COLOURS = colormaps["YlOrBr"]


def caption(report: Report) -> str:
    """One paragraph that lets the figure be read alone."""
    return (
        "Questions reworded without changing their answer; darker is worse. Points of accuracy lost against the same "
        "method's answers to the original questions; share of answers that changed; absent objects affirmed, first "
        "with the original questions. Typos are means over severities. "
        f"Accuracy by chance: {report.chance_level():.1f}%."
    )


def frames(report: Report) -> dict[str, pd.DataFrame]:
    """Rows of (measure, perturbation, method); perturbation `clean` holds the value for the original questions."""
    return {f"{name}/text_perturbations": _frame(report, name) for name in report.backbones}


def _frame(report: Report, backbone: str) -> pd.DataFrame:
    rows = []
    names = report.perturbations("text")
    for metric in MEASURES:
        for name in ["clean", *names] if metric == "hallucination/rate" and names else names:
            for method in report.methods_of(backbone):
                where = ("clean",) if name == "clean" else ("text", name, "mean")
                cell = report.estimate(backbone, method.id, metric, *where)
                rows.append((metric, name, method.id, cell.value, cell.low, cell.high))
    frame = pd.DataFrame(rows, columns=["measure", "perturbation", "method", "value", "low", "high"])
    return frame.dropna(subset="value").reset_index(drop=True)


def draw(frame: pd.DataFrame, report: Report, sheet: Sheet = PAGE) -> Figure:
    """One map per measure, beside each other or, in a column, below each other."""
    measures = [metric for metric in MEASURES if metric in set(frame["measure"])]
    methods = list(_curves.used_methods(frame, report).values())
    count = 1 if sheet.narrow else len(measures)
    lines = -(-len(measures) // count)
    height = lines * (0.85 + _maps.HEADS + _maps.ROW * len(methods))
    figure = style.new_figure(height, sheet)
    parts = figure.subplots(lines, count, sharey=True, squeeze=False)
    for axes, metric in zip(parts.flat, measures, strict=True):
        rows = frame[frame["measure"] == metric].assign(severity=0)
        columns = [
            _maps.Column((name, 0), "original" if name == "clean" else name, "")
            for name in dict.fromkeys(rows["perturbation"])
        ]
        norm = Normalize(min(float(rows["value"].min()), 0.0), max(float(rows["value"].max()), 1.0))
        # A level's interval that excludes 0 says nothing: no dots.
        _maps.draw_map(axes, rows.assign(low=float("nan"), high=float("nan")), methods, columns, norm, COLOURS)
        bar = figure.colorbar(
            ScalarMappable(norm, COLOURS), ax=axes, location="bottom", fraction=0.09 / height * lines,
            pad=0.05 / height * lines, aspect=25,
        )  # fmt: skip
        bar.set_label(MEASURES[metric], fontsize=style.LABEL)
        bar.outline.set_visible(False)
    for axes in parts[:, 1:].flat:
        axes.tick_params(labelleft=False)
    return figure
