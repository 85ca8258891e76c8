"""Where labels of points go, so that they cover neither each other nor a point.

Each label tries places around its point, near ones first, and takes the cheapest; since later labels may want the
place of earlier ones, all are tried again until none moves. That is little against what packages for it do, and
enough for a few dozen points.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pruneproof.scoring.effective import isotonic

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

GAPS = (2.0, 5.0, 9.0, 14.0, 20.0, 27.0, 35.0, 44.0, 54.0, 66.0, 80.0, 98.0, 120.0, 145.0)
"""Distances tried between a point's edge and its label."""
DIRECTIONS = 24
"""Tried at each distance."""
ROUNDS = 12
"""At most; labels settle in three or four."""
OVERLAP, BARRED, CROSSED, COVERED = 1000.0, 25.0, 20.0, 1.0
"""Costs, where a unit of distance costs 1: of a label or point that is covered or a frame that is left, of each error
bar that is covered, of each thing that the line to a label crosses, and of each unit of a curve that is covered."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What is on the panel; lengths in any one unit, y upwards."""

    points: Floats
    """(N, 2) centres of the points that are named."""
    sizes: Floats
    """(N, 2) width and height of their labels."""
    radius: float
    """Half the side of a point's marker."""
    frame: Floats
    """(4) left, bottom, right, top, which labels do not leave."""
    curve: Floats
    """(M, 2) corners of a line that labels had better leave visible; (0, 2) for none."""
    bars: Floats = field(default_factory=lambda: np.zeros((0, 4)))
    """(K, 4) left, bottom, right, top of error bars, which labels had better not cover."""


def place_labels(scene: Scene) -> Floats:
    """Centres of the labels, (N, 2); the same for the same scene.

    Where everything is full, a label covers as little as it can.
    """
    count = len(scene.points)
    if not count:
        return np.zeros((0, 2))
    curve = _steps(scene.curve)
    distance = np.hypot(*(scene.points[:, None] - scene.points[None]).transpose(2, 0, 1))
    crowd = (distance < 3 * scene.sizes.max()).sum(1)
    # The most crowded first: they have the fewest places to choose from.
    order = np.lexsort((*scene.points.T, -crowd))
    centres, placed = scene.points.copy(), np.zeros(count, bool)
    for _ in range(ROUNDS):
        before = centres.copy()
        for label in order.tolist():
            placed[label] = False
            tried, gaps = _candidates(scene, label)
            costs = gaps + _cost(scene, curve, label, tried, centres, placed)
            centres[label] = tried[costs.argmin()]
            placed[label] = True
        if np.array_equal(before, centres):
            break
    return centres


def stack(wanted: Floats, size: float, low: float, high: float) -> Floats:
    """Where labels of one height go on a line, as near to their wanted places as can be, so that none covers another.

    The nearest places in least squares: without their distances they are a rising sequence. If there is no room for
    all, they are spread evenly over it, and cover each other.

    Args:
        wanted: (N) in any order.
        size: of one label.
        low: the lowest place of a label's lower edge.
        high: the highest place of a label's upper edge.

    Returns:
        (N) centres.

    Examples:
        >>> stack(np.array([5.0, 5.0, 9.0]), 2.0, 0.0, 10.0).tolist()
        [4.0, 6.0, 9.0]
    """
    count = len(wanted)
    if not count:
        return wanted
    order = np.argsort(wanted, kind="stable")
    gap = min(size, (high - low - size) / max(count - 1, 1))
    steps = gap * np.arange(count)
    rising = isotonic((wanted[order] - steps)[None])[0]
    found = np.empty(count)
    found[order] = rising.clip(low + size / 2, high - size / 2 - steps[-1]) + steps
    return found


def line_end(scene: Scene, label: int, centre: Floats) -> Floats | None:
    """The place on a label's edge to which a line leads from its point; None for a label beside its point."""
    half = scene.sizes[label] / 2
    end = np.clip(scene.points[label], centre - half, centre + half)
    return None if np.hypot(*(end - scene.points[label])) <= scene.radius + GAPS[2] else end


def _candidates(scene: Scene, label: int) -> tuple[Floats, Floats]:
    """Centres to try, (T, 2), and their distances, (T)."""
    angle = 2 * np.pi * (np.arange(DIRECTIONS) / DIRECTIONS + 0.25)
    way = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    gaps = np.repeat(GAPS, DIRECTIONS)
    reach = gaps[:, None] + scene.radius + scene.sizes[label] / 2
    return scene.points[label] + np.tile(way, (len(GAPS), 1)) * reach, gaps


def _steps(curve: Floats) -> Floats:
    """Points a unit apart along a line, (L, 2)."""
    if len(curve) < 2:
        return curve
    along = np.concatenate([[0.0], np.hypot(*np.diff(curve, axis=0).T).cumsum()])
    at = np.arange(0.0, along[-1], 1.0)
    return np.stack([np.interp(at, along, values) for values in curve.T], axis=1)


def _cost(scene: Scene, curve: Floats, label: int, tried: Floats, centres: Floats, placed: Bools) -> Floats:
    """What each of the (T, 2) centres costs beside its distance, (T)."""
    half = scene.sizes[label] / 2
    low, high = tried - half, tried + half
    others = np.flatnonzero(placed)
    spread = scene.sizes[others] / 2
    covered = _overlap(low, high, centres[others] - spread, centres[others] + spread).sum(1)
    covered += _overlap(low, high, scene.points - scene.radius, scene.points + scene.radius).sum(1)
    outside = ((low < scene.frame[:2]) | (high > scene.frame[2:])).sum(1)
    on_curve = ((curve > low[:, None]) & (curve < high[:, None])).all(2).sum(1)
    crossed = _crossed(scene, label, tried, centres, others)
    barred = (_overlap(low, high, scene.bars[:, :2], scene.bars[:, 2:]) > 0).sum(1)
    cost: Floats = OVERLAP * (covered + 3 * outside) + BARRED * barred + COVERED * on_curve + CROSSED * crossed
    return cost


def _overlap(low: Floats, high: Floats, other_low: Floats, other_high: Floats) -> Floats:
    """How far (T) boxes overlap with (K) others, (T, K): 0 for none, from 1 to 2 by the covered share."""
    shared = np.minimum(high[:, None], other_high) - np.maximum(low[:, None], other_low)
    area = shared.clip(min=0).prod(2)
    return np.where(area > 0, 1 + area / (high - low).prod(1)[:, None], 0.0)


def _crossed(scene: Scene, label: int, tried: Floats, centres: Floats, others: NDArray[np.int_]) -> Floats:
    """Points, labels and lines that a straight line from the point to each of the (T, 2) centres crosses, (T)."""
    start = scene.points[label]
    steps = start + np.linspace(0.15, 0.85, 12)[:, None, None] * (tried - start)
    boxes = [(np.delete(scene.points, label, 0), np.full(2, scene.radius)), (centres[others], scene.sizes[others] / 2)]
    found = np.zeros(len(tried))
    for middle, half in boxes:
        inside = (np.abs(steps[:, :, None] - middle) < half).all(3).any(0)
        found += inside.sum(1)
    for other in others.tolist():
        found += _cross(start, tried, scene.points[other], centres[other])
    return found


def _cross(start: Floats, ends: Floats, other_start: Floats, other_end: Floats) -> Bools:
    """Whether the lines from one start to (T, 2) ends cross another line."""

    def side(a: Floats, b: Floats, c: Floats) -> Floats:
        result: Floats = (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (
            c[..., 0] - a[..., 0]
        )
        return result

    parted = side(start, ends, other_start) * side(start, ends, other_end) < 0
    met: Bools = parted & (side(other_start, other_end, start) * side(other_start, other_end, ends) < 0)
    return met
