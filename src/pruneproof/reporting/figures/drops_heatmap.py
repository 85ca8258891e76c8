"""Heat map of the difference in drops by corruption and severity."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from pruneproof.reporting import style
from pruneproof.reporting.figures import _maps
from pruneproof.reporting.methods import Method
from pruneproof.reporting.report import Report
from pruneproof.reporting.style import PAGE, Sheet

ORDER = 40
TITLE = "Difference in drops"
PICTURES = False
COLOURS = colormaps["RdBu_r"]
OWN = colormaps["Greys"]
"""Of the full model's own row."""
BARS = 0.6
"""Inches for the colour bars."""


def caption(report: Report) -> str:
    """One paragraph that lets the figure be read alone."""
    share = 100 * report.study.scoring.confidence
    cells = report.cells("image")
    counts = ", ".join(f"{len(report.floor_cells(name, 'image'))} of {cells}" for name in report.backbones)
    counts += " condition" if cells == 1 else " conditions"
    return (
        "How many points of accuracy a method loses from clean to corrupted beyond what the full model loses: red "
        "means that the method loses more, blue less, which alone does not show robustness: a model near chance has "
        "little to lose. First row, in grey: the points that the full model itself loses. Hatched: the full model "
        f"keeps less than {report.floor} of its lead over chance there, so hardly anything can show ({counts}, "
        "by backbone). The last columns are means over all others. A dot marks a cell whose "
        f"{share:g}% interval (Student's t over images) excludes 0, without correction for the number of cells. "
        f"Accuracy by chance: {report.chance_level():.1f}%."
    )


def frames(report: Report) -> dict[str, pd.DataFrame]:
    """Differences of every method that has contrasts, and the full model's own drops."""
    return {f"{name}/drops_heatmap": _frame(report, name) for name in report.backbones}


def _frame(report: Report, backbone: str) -> pd.DataFrame:
    rows = []
    floor = set(report.floor_cells(backbone, "image"))
    for method in report.methods_of(backbone):
        for name in [*report.perturbations("image"), "live"]:
            for severity in sorted(set(report.study.perturbations.image.severities)):
                if method.id == report.baseline:
                    cell = report.estimate(backbone, method.id, "robust/drop_all", "image", name, severity)
                else:
                    cell = report.contrast(backbone, method.id, "accuracy/all", "image", name, severity)
                rows.append((method.id, name, severity, cell.value, cell.low, cell.high, (name, severity) in floor))
    frame = pd.DataFrame(rows, columns=["method", "perturbation", "severity", "value", "low", "high", "floor"])
    compared = frame[frame["method"] != report.baseline]["value"].notna().any()
    return frame.dropna(subset="value").reset_index(drop=True) if compared else frame.iloc[:0]


def draw(frame: pd.DataFrame, report: Report, sheet: Sheet = PAGE) -> Figure:
    """Methods down, conditions across; the full model's row has a scale of its own."""
    present = set(frame["method"])
    methods = [method for method in report.methods if method.id in present]
    own = [method for method in methods if method.id == report.baseline]
    others = [method for method in methods if method.id != report.baseline]
    bands = _maps.bands(_columns(frame), sheet.width - _maps.label_room(methods) - 0.3)
    # A narrow sheet's bar has a label of three lines.
    height = len(bands) * (_maps.HEADS + _maps.ROW * len(methods)) + BARS + (0.25 if sheet.narrow else 0.0)
    figure = style.new_figure(height, sheet)
    values = frame[frame["method"] != report.baseline]["value"].abs()
    limit = max(float(np.nanquantile(values, 0.98)), 1.0)
    norm = Normalize(-limit, limit)
    lost = Normalize(0, max(float(frame[frame["method"] == report.baseline]["value"].max()) if own else 1.0, 1.0))
    parts = figure.subplots(len(bands), 1, squeeze=False)[:, 0]
    for axes, columns in zip(parts, bands, strict=True):
        _band(axes, frame, (own, others), columns, (lost, norm))
    _bars(figure, list(parts), lost if own else None, norm, height)
    return figure


def _columns(frame: pd.DataFrame) -> list[_maps.Column]:
    cells = frame[["perturbation", "severity"]].drop_duplicates().itertuples(index=False, name=None)
    floor = set(frame[frame["floor"]][["perturbation", "severity"]].itertuples(index=False, name=None))
    heads = {"live": "mean, unhatched"}
    return [
        _maps.Column((name, severity), heads.get(name, name), str(severity), (name, severity) in floor)
        for name, severity in cells
    ]


def _band(
    axes: Axes,
    frame: pd.DataFrame,
    methods: tuple[list[Method], list[Method]],
    columns: list[_maps.Column],
    norms: tuple[Normalize, Normalize],
) -> None:
    """All methods' rows, then the full model's again in its own scale."""
    together = [*methods[0], *methods[1]]
    others = frame[frame["method"].isin([method.id for method in methods[1]])]
    _maps.draw_map(axes, others, together, columns, norms[1], COLOURS)
    places = {column.key: index for index, column in enumerate(columns)}
    for row in frame[frame["method"].isin([method.id for method in methods[0]])].itertuples():
        if (place := places.get((row.perturbation, row.severity))) is not None:
            colour = OWN(norms[0](row.value))
            axes.fill_between([place - 0.5, place + 0.5], -0.5, 0.5, color=colour, lw=0, zorder=0.9)


def _bars(figure: Figure, parts: list[Axes], lost: Normalize | None, norm: Normalize, height: float) -> None:
    narrow = figure.get_figwidth() < 5
    bar = figure.colorbar(
        ScalarMappable(norm, COLOURS), ax=parts, location="bottom", fraction=0.09 / height, pad=0.06 / height,
        aspect=40, extend="both", shrink=0.9,
    )  # fmt: skip
    parted = "\n" if narrow else "    "
    text = f"points lost beyond the full model{parted}\N{LEFTWARDS ARROW} less    more: worse \N{RIGHTWARDS ARROW}"
    if lost is not None:
        text += f"{parted}(full: its own loss, white 0 to black {lost.vmax:.0f})"
    bar.set_label(text, fontsize=style.LABEL)
    bar.outline.set_visible(False)
