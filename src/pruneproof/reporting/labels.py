"""Names beside points and at the ends of lines, in place of legends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes

from pruneproof.reporting.placement import Floats, Scene, line_end, place_labels, stack
from pruneproof.reporting.style import LABEL, text_width

MANY, FAR = 24, 36.0
"""Of more points than `MANY`, names that find no place within `FAR` typographic points are left out."""
LEFT_OUT = f"Of more than {MANY} points, those in a crowd are named only where there is room; the CSV names all. "
"""For captions."""


def name_points(
    axes: Axes,
    places: Sequence[tuple[float, float]],
    texts: Sequence[str],
    colours: Sequence[str],
    *,
    marker: float,
    curve: Floats,
    bars: Sequence[tuple[float, float, float]] = (),
    bold: Sequence[bool] = (),
    size: float = LABEL,
) -> None:
    """Name points so that no name covers another one or a point; a thin line leads to a name that lies further away.

    Of many points, those in a crowd go without a name, unless it is bold.

    Args:
        axes: of a figure that `settle` laid out.
        places: of the points, in data coordinates.
        texts: their names.
        colours: of the names.
        marker: size of the points' markers, in typographic points.
        curve: (M, 2) a line, in data coordinates, that names had better not cover.
        bars: upright error bars, each its place across and both its ends, in data coordinates, that names had better
            not cover.
        bold: which names are; empty for none.
        size: of the font, in typographic points.
    """
    figure = axes.figure
    unit = figure.dpi / 72  # pixels in a point
    heavy = list(bold) or [False] * len(texts)
    weights = ["bold" if thick else "normal" for thick in heavy]
    names = [
        axes.annotate(text, place, fontsize=size, weight=weight)
        for text, place, weight in zip(texts, places, weights, strict=True)
    ]
    boxes = [name.get_window_extent() for name in names]
    shown = axes.transData.transform(curve) if len(curve) else np.zeros((0, 2))
    scene = Scene(
        points=axes.transData.transform(np.reshape(places, (-1, 2))) / unit,
        sizes=np.array([(box.width, box.height) for box in boxes]).reshape(-1, 2) / unit + 1.0,
        radius=marker / 2 + 0.5,
        frame=np.array(axes.bbox.extents) / unit,
        curve=shown / unit,
        bars=_boxes(axes, bars) / unit,
    )
    centres = place_labels(scene)
    ends = [line_end(scene, index, centre) for index, centre in enumerate(centres)]
    far = [end is not None and np.hypot(*(end - point)) > FAR for end, point in zip(ends, scene.points, strict=True)]
    left_out = np.array(
        [len(names) > MANY and away and not thick for away, thick in zip(far, heavy, strict=True)], bool
    )
    if left_out.any():
        # What is left out takes no room, so that the others may come nearer.
        scene = replace(scene, sizes=np.where(left_out[:, None], 0.01, scene.sizes))
        centres = place_labels(scene)
        ends = [line_end(scene, index, centre) for index, centre in enumerate(centres)]
    for index, (name, colour) in enumerate(zip(names, colours, strict=True)):
        name.remove()
        arrow = {"arrowstyle": "-", "lw": 0.4, "color": colour, "shrinkA": 0, "shrinkB": 0}
        if left_out[index]:
            continue
        axes.annotate(
            texts[index], places[index], xytext=centres[index] - scene.points[index], textcoords="offset points",
            fontsize=size, weight=weights[index], color=colour, ha="center", va="center", in_layout=False,
            arrowprops=None if ends[index] is None else arrow,
        )  # fmt: skip


def _boxes(axes: Axes, bars: Sequence[tuple[float, float, float]]) -> Floats:
    """(K, 4) left, bottom, right, top of upright bars, in pixels."""
    across, low, high = np.array(bars, np.float64).reshape(-1, 3).T
    ends = [axes.transData.transform(np.stack([across, end], axis=1)) for end in (low, high)]
    return np.hstack([ends[0] - [1.0, 0.0], ends[1] + [1.0, 0.0]])


def reserve_ends(axes: Axes, names: Iterable[str]) -> None:
    """Leave room to the right of a panel for the names of its lines, before it is laid out."""
    widest = max(names, key=text_width, default="")
    axes.annotate(
        f"     {widest}", (1, 0.5), xycoords="axes fraction", va="center", alpha=0, fontsize=LABEL, gid="room"
    )


def name_ends(axes: Axes, ends: Sequence[tuple[float, float]], names: Sequence[str], colours: Sequence[str]) -> None:
    """Name lines where they end, to the right of the panel, so that no name covers another one.

    Args:
        axes: of a figure that `settle` laid out.
        ends: last points of the lines, in data coordinates.
        names: of the lines.
        colours: of the names.
    """
    for room in [one for one in axes.texts if one.get_gid() == "room"]:
        room.remove()
    if not ends:
        return
    unit = axes.figure.dpi / 72
    left, bottom, right, top = np.array(axes.bbox.extents) / unit
    places = axes.transData.transform(np.reshape(ends, (-1, 2))) / unit
    height = LABEL * 1.25
    slack = max(0.0, (height * len(ends) - (top - bottom)) / 2)
    found = stack(places[:, 1], height, bottom - slack, top + slack)
    for (x, y), at, name, colour in zip(places, found, names, colours, strict=True):
        axes.annotate(
            name, ((right + 8 - left) / (right - left), (at - bottom) / (top - bottom)),
            xycoords="axes fraction", fontsize=LABEL, color=colour, va="center", in_layout=False,
            annotation_clip=False,
        )  # fmt: skip
        line = np.array([[x + 2, y], [right + 2, at], [right + 7, at]])
        shown = (line - [left, bottom]) / [right - left, top - bottom]
        axes.plot(*shown.T, transform=axes.transAxes, color=colour, lw=0.4, clip_on=False, gid="leader")
