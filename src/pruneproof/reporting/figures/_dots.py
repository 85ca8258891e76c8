"""Points with error bars, several methods side by side at each category."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from pruneproof.reporting.methods import Method

SPREAD = 0.52
"""Width of the methods' points around a category, in categories."""


def draw_dots(
    axes: Axes, rows: pd.DataFrame, methods: dict[str, Method], categories: list[str], column: str, upright: bool
) -> None:
    """Draw `value` with `low` and `high` for each method.

    Args:
        axes: panel.
        rows: columns `column`, method, value, low, high.
        methods: those to draw, in order.
        categories: values of `column` in order.
        column: name of the category column.
        upright: categories along x and values along y, else the other way round.
    """
    for index, method in enumerate(methods.values()):
        shift = SPREAD * (index / max(len(methods) - 1, 1) - 0.5) if len(methods) > 1 else 0.0
        chosen = rows[rows["method"] == method.id]
        place = np.array([categories.index(name) for name in chosen[column]], dtype=float) + shift
        value = chosen["value"].to_numpy(float)
        spread = np.nan_to_num(np.abs(np.stack([value - chosen["low"], chosen["high"] - value])))
        common: dict[str, Any] = {"color": method.colour, "fmt": method.marker, "ms": 3.5, "elinewidth": 1.0}
        if upright:
            axes.errorbar(place, value, yerr=spread, **common)
        else:
            axes.errorbar(value, place, xerr=spread, **common)
    set_ticks = axes.set_xticks if upright else axes.set_yticks
    set_ticks(range(len(categories)), categories)
    limits = (-0.5, len(categories) - 0.5)
    if upright:
        axes.set_xlim(limits)
        axes.grid(visible=False, axis="x")
    else:
        axes.set_ylim(limits[::-1])
        axes.grid(visible=False, axis="y")
