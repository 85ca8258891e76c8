"""Curves over severity with confidence bands: one row of panels per measure, one column per keep ratio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pruneproof.reporting import style
from pruneproof.reporting.estimates import Estimate, number
from pruneproof.reporting.methods import Method
from pruneproof.reporting.report import Report

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
    """A measure at one severity, over all corruptions or of the one named."""
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


def draw_curve(axes: Axes, rows: pd.DataFrame, method: Method, along: str = "severity") -> None:
    """One method's curve along a column; the band is drawn where there are intervals."""
    rows = rows.sort_values(along)
    axes.fill_between(rows[along], rows["low"], rows["high"], color=method.colour, alpha=0.16, lw=0)
    axes.plot(rows[along], rows["value"], color=method.colour, marker=method.marker, ls=method.line)


def severity_axis(axes: Axes, values: Sequence[int], label: bool = True) -> None:
    """Ticks at the severities that exist, the clean condition named."""
    axes.set_xticks(list(values), ["clean" if value == 0 else str(value) for value in values])
    axes.set_xlim(min(values) - 0.25, max(values) + 0.25)
    if label:
        axes.set_xlabel("severity")


def used_methods(frame: pd.DataFrame, report: Report) -> dict[str, Method]:
    """The methods of a frame in the order of params.yaml."""
    present = set(frame["method"])
    return {method.id: method for method in report.methods if method.id in present}


def legend_handles(methods: Mapping[str, Method], keep: bool = False, line: bool = True) -> list[Line2D]:
    """One entry per look; with `keep` the share of tokens is part of the name; without `line` only the marker."""
    named = {(method.label if keep else method.name): method for method in methods.values()}
    return [style.handle(method, name, line) for name, method in named.items()]


def draw_grid(frame: pd.DataFrame, report: Report, row_height: float = 1.7, drawn: Sequence[Measure] = ()) -> Figure:
    """Measures down, keep ratios across; panels of one measure share their scale; `drawn` knows their chance levels."""
    levels = {measure.label: measure.chance for measure in drawn}
    measures = list(dict.fromkeys(frame["measure"]))
    keeps = sorted(set(frame["keep"]), reverse=True)
    methods = used_methods(frame, report)
    figure = style.new_figure(0.55 + row_height * len(measures))
    grid = figure.subplots(len(measures), len(keeps), sharex=True, sharey="row", squeeze=False)
    ticks = sorted(set(frame["severity"]))
    for row, measure in enumerate(measures):
        for column, keep in enumerate(keeps):
            axes = grid[row][column]
            panel = frame[(frame["measure"] == measure) & (frame["keep"] == keep)]
            for method_id, rows in panel.groupby("method", sort=False):
                draw_curve(axes, rows, methods[method_id])
            if levels.get(measure):
                style.chance_line(axes, report.chance_level(levels[measure]))
            severity_axis(axes, ticks, label=row == len(measures) - 1)
            if row == 0:
                axes.set_title(f"{100 * keep:g}% of the visual tokens kept")
        style.percent_axis(grid[row][0], measure)
    style.legend_above(figure, legend_handles(methods))
    return figure


def band_note(report: Report) -> str:
    """What the bands are."""
    share = 100 * report.study.scoring.confidence
    return f"Bands are {share:g}% bootstrap intervals, images resampled with all their questions."


def chance_note(report: Report, metric: str = "accuracy/all") -> str:
    """What the dotted line is."""
    level = number(report.chance_level(metric))
    return (
        f"Dotted: chance ({level}%), the accuracy of always giving the most frequent answer to each kind of question."
    )
