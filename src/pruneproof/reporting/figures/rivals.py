"""Kinds of method side by side, with their methods: robustness, gain on random pruning, inventions, cost."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pruneproof.reporting import style
from pruneproof.reporting.estimates import Estimate
from pruneproof.reporting.methods import COLOURS, KIND_NAMES, Method
from pruneproof.reporting.report import Report
from pruneproof.reporting.rival_table import measured
from pruneproof.reporting.rivals import counted, has_rivals, kind_means, time_ratio
from pruneproof.reporting.style import PAGE, Sheet

ORDER = 15
TITLE = "Kinds of method side by side"
PICTURES = False
MEASURES = {
    "effective": "effective robustness\n(points)",
    "over_random/flops": "beyond random at\nequal FLOPs (points)",
    "hallucination/matched": "invents beyond the\nfull model (points)",
}
"""Metric of `kinds.csv` under corruption to the label of its axis."""
COSTS = {"flops": "FLOPs", "time": "time of one question"}
"""What the last panel shows, over the full model's."""
ROW = 0.135
"""Inches from one method to the next."""


def caption(report: Report) -> str:
    """One paragraph that lets the figure be read alone."""
    return (
        "Under corruption, over the conditions that the full model survives. Effective robustness: points of accuracy "
        "above random pruning to the same clean accuracy. Beyond random: points of accuracy above random pruning that "
        "costs as many FLOPs; nothing where none is so cheap. Invented: absent objects affirmed at the full model's "
        "clean recall, points more than the full model. Diamonds: means over a kind's methods, each counting once "
        "(filled markers), with intervals over pictures. Last: cost over the full model's, FLOPs filled and the median "
        "time of one question hollow; a hollow marker right of the line is slower than no pruning."
    )


def frames(report: Report) -> dict[str, pd.DataFrame]:
    """Rows of (kind, method, measure), methods below the mean of their kind, whose method is empty."""
    return {f"{name}/rivals": _frame(report, name) for name in report.backbones if has_rivals(report, name)}


def _frame(report: Report, backbone: str) -> pd.DataFrame:
    rows: list[tuple[object, ...]] = []
    entered = counted(report, backbone)
    means = {
        (one.kind, metric): one.estimate for metric in MEASURES for one in kind_means(report, backbone, metric, "image")
    }
    for kind in COLOURS:
        own = [method for method in report.methods_of(backbone) if method.kind == kind and _usable(report, method)]
        for metric in MEASURES if own else ():
            rows.append((kind, "", True, metric, *_bounds(means.get((kind, metric), Estimate()))))
        for method in own:
            for metric in MEASURES:
                found = measured(report, backbone, method, metric, "image")
                rows.append((kind, method.id, method.id in entered, metric, *_bounds(found)))
            flops = Estimate(report.flops_ratio(backbone, method.id))
            for cost, estimate in (("flops", flops), ("time", time_ratio(report, backbone, method.id))):
                rows.append((kind, method.id, method.id in entered, cost, *_bounds(estimate)))
    return pd.DataFrame(rows, columns=["kind", "method", "counted", "measure", "value", "low", "high"])


def _usable(report: Report, method: Method) -> bool:
    return method.id != report.baseline and report.study.methods[method.id].rank_from == "shown"


def _bounds(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high


def draw(frame: pd.DataFrame, report: Report, sheet: Sheet = PAGE) -> Figure:
    """A row for each kind and each of its methods; a column of a paper has the kinds alone, their methods as dots."""
    return _narrow(frame, sheet) if sheet.narrow else _wide(frame, report, sheet)


def _wide(frame: pd.DataFrame, report: Report, sheet: Sheet) -> Figure:
    places = frame[["kind", "method"]].drop_duplicates().reset_index(drop=True)
    at = {(kind, method): -float(i) for i, (kind, method) in enumerate(places.itertuples(index=False))}
    looks = {method.id: method for method in report.methods}
    figure = style.new_figure(0.75 + ROW * len(at), sheet)
    panels = figure.subplots(1, len(MEASURES) + 1, sharey=True, squeeze=False)[0]
    for axes, (metric, label) in zip(panels, MEASURES.items(), strict=False):
        for row in frame[frame["measure"] == metric].itertuples():
            _point(axes, row, at[row.kind, row.method], looks.get(row.method))
        _zero(axes, 0.0, label)
    costs = frame[frame["measure"].isin(COSTS)].pivot_table(index=["kind", "method"], columns="measure", values="value")
    for (kind, method), row in costs.iterrows():
        y, colour = at[kind, method], COLOURS[kind]
        panels[-1].plot([row["flops"], row["time"]], [y, y], color=colour, lw=0.6, zorder=1)
        panels[-1].plot(row["flops"], y, marker="o", ms=3.2, color=colour, ls="none")
        panels[-1].plot(row["time"], y, marker="o", ms=3.2, color=colour, mfc="white", ls="none")
    _zero(panels[-1], 1.0, "FLOPs (filled), time\n(hollow), full = 1")
    names = [looks[method].label if method else KIND_NAMES.get(kind, kind) for kind, method in at]
    panels[0].set_yticks(list(at.values()), names)
    panels[0].set_ylim(-len(at) + 0.3, 0.7)
    for text, (kind, method) in zip(panels[0].get_yticklabels(), at, strict=True):
        text.set(color=COLOURS[kind], weight="normal" if method else "bold")
    for axes in panels:
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        for (kind, method), y in at.items():
            if not method:
                axes.axhspan(y - 0.5, y + 0.5, color=COLOURS[kind], alpha=0.08, lw=0)
    return figure


def _narrow(frame: pd.DataFrame, sheet: Sheet) -> Figure:
    kinds = list(dict.fromkeys(frame["kind"]))
    at = {kind: -float(i) for i, kind in enumerate(kinds)}
    figure = style.new_figure((0.45 + 0.15 * len(kinds)) * len(MEASURES), sheet)
    panels = figure.subplots(len(MEASURES), 1, squeeze=False)[:, 0]
    for axes, (metric, label) in zip(panels, MEASURES.items(), strict=True):
        for row in frame[(frame["measure"] == metric) & frame["counted"]].itertuples():
            if row.method:
                axes.plot(row.value, at[row.kind], marker="|", ms=5, color=COLOURS[row.kind], alpha=0.6, ls="none")
            else:
                _point(axes, row, at[row.kind], None)
        _zero(axes, 0.0, "")
        axes.set_title(label.replace("\n", " "), fontsize=style.LABEL, x=-0.55)
        axes.set_yticks(list(at.values()), [KIND_NAMES.get(kind, kind) for kind in kinds])
        axes.set_ylim(-len(kinds) + 0.4, 0.6)
        axes.grid(axis="y", visible=False)
        for text, kind in zip(axes.get_yticklabels(), kinds, strict=True):
            text.set_color(COLOURS[kind])
    return figure


def _point(axes: Axes, row: Any, y: float, method: Method | None) -> None:
    """A method, or the mean of a kind, with its interval."""
    colour = COLOURS[row.kind]
    face = colour if row.counted else "white"
    reach = [[row.value - row.low], [row.high - row.value]]
    marker, size, line = ("D", 4.5, 1.6) if method is None else ("o", 3.0, 0.7)
    axes.errorbar(row.value, y, xerr=reach, color=colour, mfc=face, ls="none", marker=marker, ms=size, elinewidth=line)


def _zero(axes: Axes, at: float, label: str) -> None:
    axes.axvline(at, color="#333333", lw=0.7, zorder=1)
    axes.set_xlabel(label)
