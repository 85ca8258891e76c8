"""Curves over severity with confidence bands: one row of panels per measure, one column per keep ratio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pruneproof.reporting import labels, style
from pruneproof.reporting.estimates import Estimate, number
from pruneproof.reporting.methods import Method
from pruneproof.reporting.report import Report

BANDS = 6
"""Lines in a panel, at most, that all have bands."""
COLUMNS = ["measure", "keep", "method", "severity", "value", "low", "high"]


@dataclass(frozen=True, slots=True)
class Measure:
    """One row of panels."""

    label: str
    """Label of the y axis."""
    metrics: tuple[str, ...]
    """Metrics of the summary; the mean of several is drawn without a band."""
    baseline: bool = True
    """Whether the full model is drawn too."""
    chance: str = ""
    """Metric whose chance level is drawn as a line; empty for none."""


def severities(report: Report) -> list[int]:
    """0 for the clean condition, then the image severities of the study."""
    return [0, *sorted(set(report.study.perturbations.image.severities))]


def mean_of(
    report: Report, backbone: str, method: str, metrics: Sequence[str], severity: int, name: str = ""
) -> Estimate:
    """A measure at one severity, over all corruptions or of the one named; unknown without any metric, as the recall
    over POPE's splits is where nothing of POPE is asked."""
    if not metrics:
        return Estimate()
    where = ("image", name, severity) if severity else ("clean", "", "")
    estimates = [report.estimate(backbone, method, metric, *where) for metric in metrics]
    return estimates[0] if len(estimates) == 1 else Estimate(sum(e.value for e in estimates) / len(estimates))


def curve_frame(report: Report, backbone: str, measures: Sequence[Measure]) -> pd.DataFrame:
    """Rows of (measure, keep, method, severity) for every keep ratio that has a random control and that the backbone is
    run with."""
    rows = []
    for measure in measures:
        for keep in report.keeps():
            own = report.at_keep(keep, backbone)
            for method in own if len(own) > 1 else ():
                if method.id == report.baseline and not measure.baseline:
                    continue
                for severity in severities(report):
                    cell = mean_of(report, backbone, method.id, measure.metrics, severity)
                    rows.append((measure.label, keep, method.id, severity, cell.value, cell.low, cell.high))
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.dropna(subset="value").reset_index(drop=True)


def draw_curve(axes: Axes, rows: pd.DataFrame, method: Method, along: str = "severity", band: bool = True) -> None:
    """One method's curve along a column; the band is drawn where there are intervals."""
    rows = rows.sort_values(along)
    if band:
        axes.fill_between(rows[along], rows["low"], rows["high"], color=method.colour, alpha=0.14, lw=0)
    axes.plot(
        rows[along], rows["value"], color=method.colour, marker=method.marker, mfc=method.face, ls=method.line,
        zorder=3 if method.kind == "full" else 2,
    )  # fmt: skip


def has_band(method: Method, drawn: int) -> bool:
    """Whether a method's band is drawn among so many: bands of more than a few cover each other."""
    return drawn <= BANDS or method.kind in ("full", "control")


def severity_axis(axes: Axes, values: Sequence[int], short: bool = False) -> None:
    """Ticks at the severities that exist, the clean condition named; `short`: as 0."""
    axes.set_xticks(list(values), ["clean" if value == 0 and not short else str(value) for value in values])
    axes.set_xlim(min(values) - 0.25, max(values) + 0.25)
    axes.set_xlabel("severity")


def used_methods(frame: pd.DataFrame, report: Report) -> dict[str, Method]:
    """The methods of a frame in the order of params.yaml."""
    present = set(frame["method"])
    return {method.id: method for method in report.methods if method.id in present}


def legend_handles(methods: Mapping[str, Method], keep: bool = False, line: bool = True) -> list[Line2D]:
    """One entry per look; with `keep` the share of tokens is part of the name; without `line` only the marker."""
    named = {(method.label if keep else method.name): method for method in methods.values()}
    return [style.handle(method, name, line) for name, method in named.items()]


def draw_grid(
    frame: pd.DataFrame, report: Report, sheet: style.Sheet, row_height: float = 1.7, drawn: Sequence[Measure] = ()
) -> Figure:
    """Measures down, keep ratios across; panels of one measure share their scale; `drawn` knows their chance levels.

    Lines are named where they end; where there is no room for that, in a legend.
    """
    measures = list(dict.fromkeys(frame["measure"]))
    keeps = sorted(set(frame["keep"]), reverse=True)
    methods = used_methods(frame, report)
    most = max(int(panel["method"].nunique()) for _, panel in frame.groupby(["measure", "keep"]))
    legend = legend_handles(methods) if sheet.narrow else []
    height = row_height if sheet.narrow else max(row_height, 0.2 + 0.122 * most)
    figure = style.new_figure(0.55 + height * len(measures) + style.legend_height(legend, sheet), sheet)
    grid = figure.subplots(len(measures), len(keeps), sharex=True, sharey="row", squeeze=False)
    levels = {measure.label: measure.chance for measure in drawn}
    panels = [
        (grid[row][column], frame[(frame["measure"] == measure) & (frame["keep"] == keep)])
        for row, measure in enumerate(measures)
        for column, keep in enumerate(keeps)
    ]
    for axes, panel in panels:
        for method_id, rows in panel.groupby("method", sort=False):
            method = methods[method_id]
            draw_curve(axes, rows, method, band=has_band(method, panel["method"].nunique()))
        if not sheet.narrow:
            labels.reserve_ends(axes, (methods[name].name for name in panel["method"].unique()))
    for row, measure in enumerate(measures):
        for axes in grid[row] if levels.get(measure) else ():
            style.chance_line(axes, report.chance_level(levels[measure]))
        style.percent_axis(grid[row][0], measure)
    for column, keep in enumerate(keeps):
        share = f"{100 * keep:g}%"
        grid[0][column].set_title(share if sheet.narrow else f"{share} of the visual tokens kept")
        severity_axis(grid[-1][column], sorted(set(frame["severity"])), short=sheet.narrow)
    style.legend_above(figure, legend)
    if not sheet.narrow:
        style.settle(figure)
        for axes, panel in panels:
            ends = panel.loc[panel.groupby("method", sort=False)["severity"].idxmax()]
            named = [methods[name] for name in ends["method"]]
            labels.name_ends(
                axes, list(zip(ends["severity"], ends["value"], strict=True)), [one.name for one in named],
                [one.colour for one in named],
            )  # fmt: skip
    return figure


def panel_note(report: Report) -> str:
    """Which methods share a panel of one keep ratio, and what the bands are."""
    return (
        "A panel has the methods that leave this share of the tokens on average over the language model's layers; "
        f"others stand in the tables. {band_note(report)}"
    )


def band_note(report: Report) -> str:
    """What the bands are."""
    share = 100 * report.study.scoring.confidence
    return (
        f"Bands are {share:g}% bootstrap intervals, images resampled with all their questions; where more than {BANDS} "
        "lines share a panel, of the full model and controls only (all are in the CSV)."
    )


def chance_note(report: Report, metric: str = "accuracy/all") -> str:
    """What the dotted line is."""
    level = number(report.chance_level(metric))
    return (
        f"Dotted: chance ({level}%), the accuracy of always giving the most frequent answer to each kind of question."
    )
