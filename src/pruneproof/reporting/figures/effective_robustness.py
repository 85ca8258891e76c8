"""Perturbed against clean accuracy, with the curve of random pruning: the report's first figure."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pruneproof.plurals import number_of
from pruneproof.reporting import labels, style
from pruneproof.reporting.figures import _curves
from pruneproof.reporting.methods import COLOURS, Method
from pruneproof.reporting.report import Report
from pruneproof.reporting.style import PAGE, Sheet

ORDER = 1
TITLE = "Effective robustness"
PICTURES = False
FAMILIES = {"image": "corrupted images", "text": "reworded questions"}
MARKER = 5.0
"""Size of the points, in typographic points."""
COLUMNS = ["family", "method", "clean", "value", "low", "high"]
CURVE, CHANCE = "(random pruning)", "(chance)"
"""Names in the column `method` for the curve and for the model that sees nothing; no method can have them."""


def caption(report: Report) -> str:
    """One paragraph that lets the figure be read alone."""
    left_out = [len(report.floor_cells(name, "image")) for name in report.backbones]
    share = 100 * report.study.scoring.confidence
    return (
        "Accuracy over the study's claimed kinds on clean input (across) and under perturbation (up), means over the "
        f"conditions in which the full model keeps at least {report.floor} of its lead over chance "
        f"({', '.join(str(n) for n in left_out)} of {number_of(report.cells('image'), 'image condition')} left out, by "
        "backbone). The line is random pruning to ever fewer tokens, from the full model to chance, with its "
        f"{share:g}% band. A method above it is more robust than its clean accuracy predicts, one below it less, "
        "one on it equally. Colour: kind of method; hollow: variants. "
        f"{labels.LEFT_OUT}Dotted: chance ({report.chance_level():.1f}%)."
    )


def frames(report: Report) -> dict[str, pd.DataFrame]:
    """Rows of (family, method) and the points of the curve."""
    return {f"{name}/effective_robustness": _frame(report, name) for name in report.backbones}


def _frame(report: Report, backbone: str) -> pd.DataFrame:
    known = report.effective[(report.effective["backbone"] == backbone) & (report.effective["severity"] == "mean")]
    drawn = report.random_curve[(report.random_curve["backbone"] == backbone)]
    drawn = drawn[drawn["severity"] == "mean"].assign(method=CURVE)
    points = known[["family", "method", "clean"]].assign(value=known["perturbed"], low=float("nan"), high=float("nan"))
    chance = report.chance_level()
    corners = pd.DataFrame(
        [(family, CHANCE, chance, chance, chance, chance) for family in FAMILIES if family in set(known["family"])],
        columns=COLUMNS,
    )
    frame = pd.concat([drawn[COLUMNS], *([corners] if len(corners) else []), points[COLUMNS]], ignore_index=True)
    return frame.dropna(subset="value").reset_index(drop=True)


def draw(frame: pd.DataFrame, report: Report, sheet: Sheet = PAGE) -> Figure:
    """One panel for each kind of perturbation."""
    families = [family for family in FAMILIES if family in set(frame["family"])]
    methods = _curves.used_methods(frame, report)
    key = style.kind_key(methods.values())
    lines = len(families) if sheet.narrow else 1
    figure = style.new_figure((3.6 if sheet.narrow else 4.3) * lines + style.legend_height(key, sheet), sheet)
    panels = figure.subplots(lines, -(-len(families) // lines), squeeze=False).ravel()
    for axes, family in zip(panels, families, strict=True):
        _panel(axes, frame[frame["family"] == family], report)
        axes.set_title(FAMILIES[family])
        style.percent_axis(axes, "accuracy on clean input (%)", along="x")
        style.percent_axis(axes, "accuracy under perturbation (%)" if sheet.narrow or axes is panels[0] else "")
    style.legend_above(figure, key)
    style.settle(figure)
    for axes, family in zip(panels, families, strict=True):
        _name_points(axes, frame[frame["family"] == family], report)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, report: Report) -> None:
    curve = _curve(rows)
    axes.fill_between(curve["clean"], curve["low"], curve["high"], color=COLOURS["control"], alpha=0.2, lw=0)
    axes.plot(curve["clean"], curve["value"], color=COLOURS["control"], lw=1.2)
    for corner in rows[rows["method"] == CHANCE].itertuples():
        style.chance_line(axes, corner.value)
        axes.plot(corner.clean, corner.value, marker="x", color=style.GREY)
    for method, place in _points(rows, report):
        axes.plot(*place, marker=method.marker, color=method.colour, mfc=method.face, ms=MARKER, ls="none", zorder=3)
    axes.margins(0.08)


def _name_points(axes: Axes, rows: pd.DataFrame, report: Report) -> None:
    """A label for each point in its method's colour. The panel's place must be settled."""
    points, curve = _points(rows, report), _curve(rows)[["clean", "value"]].to_numpy(float)
    labels.name_points(
        axes,
        [place for _, place in points],
        [method.label for method, _ in points],
        [method.colour for method, _ in points],
        marker=MARKER,
        curve=curve,
    )


def _curve(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["method"] == CURVE].sort_values("clean")


def _points(rows: pd.DataFrame, report: Report) -> list[tuple[Method, tuple[float, float]]]:
    methods = _curves.used_methods(rows, report)
    return [(methods[row.method], (row.clean, row.value)) for row in rows.itertuples() if row.method in methods]
