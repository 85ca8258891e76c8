"""Heat maps over two options of one method: accuracy, retention and hallucination beside random pruning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pruneproof.reporting import style
from pruneproof.reporting.estimates import Contrast, Estimate, number
from pruneproof.reporting.methods import Method
from pruneproof.reporting.report import Report
from pruneproof.reporting.style import PAGE, Sheet
from pruneproof.reporting.sweeps import Sweep, sweeps, written

ORDER = 75
TITLE = "Two options over each other"
PICTURES = False
RANDOM, FULL = "random", "full"
"""Panels of the random controls and, written in titles, of the full model."""
COLUMNS = [
    "measure", "panel", "across", "x", "down", "y", "method", "value", "low", "high", "control", "difference",
    "difference_low", "difference_high",
]  # fmt: skip
ROW, HEAD = 0.19, 0.27
"""Inches of height of a row of cells, and of the title above those of one measure."""
GAP, BAR = 0.06, 0.07
"""Inches of width between two panels, and of a colour bar."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One row of panels."""

    label: str
    metric: str
    contrast: str
    """The metric of its difference from the random control."""
    family: str
    perturbation: str
    low_is_worse: bool


MEASURES = (
    Measure("Accuracy, clean (%)", "accuracy/all", "clean/accuracy/all", "clean", "", True),
    Measure("Retention, corrupted (%)", "robust/retention", "robust/retention", "image", "live", True),
    Measure("Invents at matched recall (%)", "hallucination/matched", "clean/hallucination/matched", "clean", "",
            False),
)  # fmt: skip


def caption(report: Report) -> str:
    """One paragraph that lets the figure be read alone."""
    share = 100 * report.study.scoring.confidence
    return (
        "Entries of one method by the two options that vary most; a panel for each setting of the others, those that "
        "the study has. On the left random pruning to as many tokens, in the titles the full model. Accuracy is over "
        "the study's claimed kinds; retention is the share of its lead over chance that a method keeps under "
        "corruption, over the conditions that the full model survives (near chance there is little to lose); invents "
        "is the share of absent objects affirmed at the full model's clean recall. Darker is worse. Empty: no such "
        "entry, or no lead over chance on clean pictures that could be kept. Hatched: cannot be told from random "
        f"pruning to as many tokens, because the {share:g}% interval of the paired difference (Student's t or "
        "bootstrap over images) spans 0, without correction for the number of cells. Accuracy by chance: "
        f"{number(report.chance_level())}%."
    )


def frames(report: Report) -> dict[str, pd.DataFrame]:
    """One for each backbone and method with such entries: a row for every cell of every measure."""
    return {
        f"{backbone}/sweep_{sweep.base}": _frame(report, backbone, sweep)
        for backbone in report.backbones
        for sweep in sweeps(report, backbone)
    }


def _frame(report: Report, backbone: str, sweep: Sweep) -> pd.DataFrame:
    rows: list[tuple[object, ...]] = []
    for measure in MEASURES:
        where = (measure.family, measure.perturbation)
        controls: dict[float, Method] = {}
        own: list[tuple[object, ...]] = []
        for cell in sweep.cells:
            value, difference = report.estimate(backbone, cell.method.id, measure.metric, *where), Contrast()
            if (control := report.control(cell.method, backbone)) is not None:
                controls.setdefault(cell.down, control)
                difference = report.contrast(backbone, cell.method.id, measure.contrast, *where, baseline=control.id)
            own.append(
                (measure.label, cell.panel, sweep.across, cell.across, sweep.down, cell.down, cell.method.id,
                 *_three(value), control.id if control else "", *_three(difference))
            )  # fmt: skip
        for y, control in controls.items():
            value = report.estimate(backbone, control.id, measure.metric, *where)
            rows.append(
                (measure.label, RANDOM, sweep.across, np.nan, sweep.down, y, control.id, *_three(value), "",
                 *_three(Estimate()))
            )  # fmt: skip
        full = report.estimate(backbone, report.baseline, measure.metric, *where)
        rows.append(
            (measure.label, FULL, sweep.across, np.nan, sweep.down, np.nan, report.baseline, *_three(full), "",
             *_three(Estimate()))
        )  # fmt: skip
        rows += own
    frame = pd.DataFrame(rows, columns=COLUMNS).dropna(subset="value").reset_index(drop=True)
    return frame if len(frame[~frame["panel"].isin([RANDOM, FULL])]) else frame.iloc[:0]


def _three(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high


def draw(frame: pd.DataFrame, report: Report, sheet: Sheet = PAGE) -> Figure:
    """Measures down; across, random pruning and the panels, whose cells are all of one size."""
    cells = frame[frame["panel"] != FULL]
    measures = [measure for measure in MEASURES if measure.label in set(cells["measure"])]
    panels = {panel: _columns(cells, panel) for panel in dict.fromkeys(cells["panel"])}
    rows = sorted(set(cells["y"]), reverse=True)
    heads = [written(value) for value in rows]
    left = 0.24 + max(map(style.text_width, heads))
    right = GAP + BAR + 0.2 + style.text_width(number(cells["value"].abs().max(), 0))
    across = style.plain(frame["across"].iloc[0])
    names = {panel: [] if panel == RANDOM else [across, *panel.split()] for panel in panels}
    room = _room(sheet.width - left - right - GAP * (len(panels) - 1), panels, names)
    slots = {panel: _slot(room, values, names[panel]) for panel, values in panels.items()}
    feet = {panel: _feet(names[panel], slots[panel]) for panel in panels}
    steep = max(style.text_width(name) for panel in panels for name in _names(panel, panels[panel])) + 0.03 > room
    below = 0.1 + 0.14 * max(text.count("\n") + 1 for text in feet.values()) + (0.4 if steep else 0.14)
    figure = style.new_figure(len(measures) * (ROW * len(rows) + HEAD) + below, sheet)
    figure.set_layout_engine("none")
    width, height = figure.get_size_inches()

    def part(x: float, y: float, across: float) -> Axes:
        """Axes as high as all rows, `x` from the left and `y` from the top, in inches."""
        tall = ROW * len(rows)
        return figure.add_axes((x / width, 1 - (y + tall) / height, across / width, tall / height))

    for index, measure in enumerate(measures):
        own = cells[cells["measure"] == measure.label]
        top = index * (ROW * len(rows) + HEAD) + HEAD
        low, high = float(own["value"].min()), float(own["value"].max())
        look = Normalize(low, max(high, low + 1.0)), colormaps["Oranges_r" if measure.low_is_worse else "Oranges"]
        x = left
        for panel, values in panels.items():
            axes = part(x + (slots[panel] - room * len(values)) / 2, top, room * len(values))
            _map(axes, own[own["panel"] == panel], values, rows, look, room)
            if x == left:
                axes.set_yticks(range(len(rows)), heads)
            if index == len(measures) - 1:
                axes.set_xticks(range(len(values)), _names(panel, values), rotation=90 if steep else 0)
                axes.set_xlabel(feet[panel], fontsize=style.LABEL)
            x += slots[panel] + GAP
        _bar(figure, part(x, top, BAR), look, measure.low_is_worse)
        figure.text(left / width, 1 - (top - 0.05) / height, _title(measure, frame), weight="bold", fontsize=8)
    figure.supylabel(style.plain(str(frame["down"].iloc[0])), fontsize=style.LABEL, x=0.03 / width, ha="left")
    return figure


def _title(measure: Measure, frame: pd.DataFrame) -> str:
    full = frame[(frame["panel"] == FULL) & (frame["measure"] == measure.label)]["value"]
    return measure.label + (f"; full {number(float(full.iloc[0]))}" if len(full) else "")


def _slot(room: float, values: Sequence[float], words: Sequence[str]) -> float:
    """Inches that a panel of cells of this width takes: no word below it sticks out."""
    return max([room * len(values), *map(style.text_width, words)])


def _room(width: float, panels: Mapping[str, Sequence[float]], names: Mapping[str, Sequence[str]]) -> float:
    """Width of a cell, so that all panels together take as much as there is."""
    low, high = 0.0, width
    for _ in range(30):
        room = (low + high) / 2
        taken = sum(_slot(room, values, names[panel]) for panel, values in panels.items())
        low, high = (room, high) if taken <= width else (low, room)
    return low


def _feet(words: Sequence[str], width: float) -> str:
    """What stands below a panel: the option across, then the panel's settings in lines no wider than it."""
    lines = list(words[:2])
    for word in words[2:]:
        if style.text_width(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines)


def _names(panel: str, values: Sequence[float]) -> list[str]:
    """What stands below each column of a panel."""
    return [RANDOM] if panel == RANDOM else [written(value) for value in values]


def _columns(frame: pd.DataFrame, panel: str) -> list[float]:
    """Values of the option across that a panel has; of the random controls a single one."""
    return [np.nan] if panel == RANDOM else sorted(set(frame[frame["panel"] == panel]["x"]))


def _map(
    axes: Axes,
    cells: pd.DataFrame,
    columns: Sequence[float],
    rows: Sequence[float],
    look: tuple[Normalize, Colormap],
    room: float,
) -> None:
    """One panel: colours, hatches and, as exactly as `room` (inches of a cell's width) allows, values."""
    norm, colours = look
    ends = [float(end) for end in (norm.vmin, norm.vmax) if end is not None]
    widest = {digits: max(style.text_width(number(end, digits)) for end in ends) for digits in (1, 0)}
    digits = next((digits for digits, needed in widest.items() if needed + 0.02 <= room), None)
    values = np.full((len(rows), len(columns)), np.nan)
    for cell in cells.itertuples():
        x, y = (0 if np.isnan(cell.x) else columns.index(cell.x)), rows.index(cell.y)
        values[y, x] = cell.value
        red, green, blue, _ = fill = colours(norm(cell.value))
        if cell.difference_low <= 0 <= cell.difference_high:
            axes.add_patch(
                Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, hatch="/////", ec="#777777", lw=0, gid="untold")
            )
        if digits is not None:
            ink = "white" if 0.3 * red + 0.59 * green + 0.11 * blue < 0.55 else "#222222"
            axes.text(
                x, y, number(cell.value, digits), ha="center", va="center", fontsize=style.LABEL, color=ink,
                bbox={"facecolor": fill, "edgecolor": "none", "pad": 0.6},
            )  # fmt: skip
    axes.imshow(values, cmap=colours, norm=norm, aspect="auto", interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=1.5, labelsize=style.LABEL)


def _bar(figure: Figure, axes: Axes, look: tuple[Normalize, Colormap], low_is_worse: bool) -> None:
    bar = figure.colorbar(ScalarMappable(*look), cax=axes)
    ends = axes.get_ylim()
    bar.set_ticks(list(ends), labels=[number(end, 0) for end in ends])
    bar.set_label("\N{LEFTWARDS ARROW} worse" if low_is_worse else "worse \N{RIGHTWARDS ARROW}", fontsize=style.LABEL)
    low, high = axes.get_yticklabels()
    low.set_verticalalignment("bottom")
    high.set_verticalalignment("top")
    axes.tick_params(length=0, pad=1.5, labelsize=style.LABEL)
    bar.outline.set_visible(False)
