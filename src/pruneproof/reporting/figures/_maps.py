"""Heat maps: methods as rows, conditions as columns, in as many bands as the sheet's width needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.patches import Rectangle

from pruneproof.reporting import style
from pruneproof.reporting.methods import Method

CELL = 0.08
"""Inches of width of a cell, at least: a digit of 7 points and a little air."""
ROW = 0.115
"""Inches of height of a row."""
HEADS = 0.8
"""Inches for the slanting names of conditions above a band, and the severities below it."""


@dataclass(frozen=True, slots=True)
class Column:
    """One condition."""

    key: tuple[str, int]
    """(perturbation, severity)"""
    group: str
    """Heading that it shares with its neighbours, such as the corruption's name."""
    tick: str
    """What stands below it, such as the severity; empty for nothing."""
    floor: bool = False
    """Whether the full model is near chance there: hatched."""


def label_room(methods: Sequence[Method]) -> float:
    """Inches that the rows' names take."""
    return 0.12 + max(style.text_width(method.label) for method in methods)


def bands(columns: Sequence[Column], room: float) -> list[list[Column]]:
    """Columns in as few bands as fit into so many inches, as even as can be; a group stays together."""
    groups: list[list[Column]] = []
    for column in columns:
        if groups and groups[-1][0].group == column.group:
            groups[-1].append(column)
        else:
            groups.append([column])
    most = max(int(room / CELL), max((len(group) for group in groups), default=1))
    count = -(-len(columns) // most)
    while True:
        made = _split(groups, -(-len(columns) // count), most)
        if all(len(band) <= most for band in made):
            return made
        count += 1


def _split(groups: Sequence[Sequence[Column]], wanted: int, most: int) -> list[list[Column]]:
    made: list[list[Column]] = [[]]
    for group in groups:
        if made[-1] and (len(made[-1]) >= wanted or len(made[-1]) + len(group) > most):
            made.append([])
        made[-1] += group
    return made


def draw_map(
    axes: Axes,
    rows: pd.DataFrame,
    methods: Sequence[Method],
    columns: Sequence[Column],
    norm: Normalize,
    colours: Colormap,
) -> None:
    """Draw `value` of each method (`method`) in each condition (`perturbation`, `severity`).

    A dot marks a cell whose interval (`low`, `high`) excludes 0, if the scale has both signs.
    """
    places = {column.key: index for index, column in enumerate(columns)}
    lines = {method.id: index for index, method in enumerate(methods)}
    values = np.full((len(methods), len(columns)), np.nan)
    both = norm.vmin is not None and norm.vmin < 0
    sure: list[tuple[int, int, str]] = []
    for row in rows.itertuples():
        if row.method in lines and (row.perturbation, row.severity) in places:
            y, x = lines[row.method], places[row.perturbation, row.severity]
            values[y, x] = row.value
            if both and (row.low > 0 or row.high < 0):
                sure.append((x, y, "white" if abs(norm(row.value) - 0.5) > 0.32 else "#222222"))
    axes.imshow(values, cmap=colours, norm=norm, aspect="auto", interpolation="nearest")
    if sure:
        across, down, ink = zip(*sure, strict=True)
        axes.scatter(across, down, s=1.2, c=list(ink), lw=0, gid="sure")
    for index, column in enumerate(columns):
        if column.floor:
            axes.add_patch(
                Rectangle((index - 0.5, -0.5), 1, len(methods), fill=False, hatch="//////", ec="#555555", lw=0)
            )
    frame_map(axes, methods, columns)


def frame_map(axes: Axes, methods: Sequence[Method], columns: Sequence[Column]) -> None:
    """Names of rows and columns; white lines between groups of conditions and kinds of methods."""
    axes.set_xticks(range(len(columns)), [column.tick for column in columns])
    axes.set_yticks(range(len(methods)), [method.label for method in methods])
    for tick, method in zip(axes.get_yticklabels(), methods, strict=False):  # none where the axis is shared
        tick.set_color(method.colour)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=1.5, labelsize=style.LABEL)
    starts = [i for i, c in enumerate(columns) if i == 0 or c.group != columns[i - 1].group]
    slant = 40 if len(starts) < len(columns) else 58  # steep enough that names of single columns do not touch
    for start, end in zip(starts, [*starts[1:], len(columns)], strict=True):
        axes.annotate(
            style.plain(columns[start].group), ((start + end - 1) / 2, -0.5), xytext=(-3, 2),
            textcoords="offset points", rotation=slant, rotation_mode="anchor", fontsize=style.LABEL, color="#333333",
        )  # fmt: skip
        if start:
            axes.axvline(start - 0.5, color="white", lw=1.2)
    for index in range(1, len(methods)):
        if methods[index].kind != methods[index - 1].kind:
            axes.axhline(index - 0.5, color="white", lw=1.2)
