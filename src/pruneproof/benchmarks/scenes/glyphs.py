"""The shape of every noun, as painted polygons on the square [-1, 1] x [-1, 1] (x to the right, y down)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Paint = Literal["body", "shade", "tint", "dark", "light", "leaf", "wood", "glow", "clear"]
"""`body`, `shade` (darker) and `tint` (lighter) follow the object's colour; `clear` cuts a hole; the rest is fixed."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Shape:
    """One filled polygon."""

    points: tuple[Point, ...]
    paint: Paint


def polygon(paint: Paint, *points: Point) -> Shape:
    """A polygon through the points."""
    return Shape(points, paint)


def rectangle(paint: Paint, x0: float, y0: float, x1: float, y1: float) -> Shape:
    """An axis-parallel rectangle."""
    return Shape(((x0, y0), (x1, y0), (x1, y1), (x0, y1)), paint)


def ellipse(paint: Paint, x: float, y: float, rx: float, ry: float, start: float = 0.0, end: float = 360.0) -> Shape:
    """An ellipse, or a segment of one from `start` to `end` degrees (0 is right, 90 is down)."""
    steps = 22
    angles = (math.radians(start + (end - start) * i / steps) for i in range(steps + 1))
    return Shape(tuple((x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles), paint)


def line(paint: Paint, a: Point, b: Point, width: float) -> Shape:
    """A straight stroke of the given width."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = math.hypot(dx, dy)
    nx, ny = -dy / length * width / 2, dx / length * width / 2
    return Shape(
        ((a[0] + nx, a[1] + ny), (b[0] + nx, b[1] + ny), (b[0] - nx, b[1] - ny), (a[0] - nx, a[1] - ny)), paint
    )


def _ring(paint: Paint, x: float, y: float, outer: float, inner: float) -> tuple[Shape, Shape]:
    return ellipse(paint, x, y, outer, outer), ellipse("clear", x, y, inner, inner)


def _petal(angle: float) -> Shape:
    a = math.radians(angle)
    return ellipse("body", 0.5 * math.cos(a), -0.25 + 0.5 * math.sin(a), 0.34, 0.34)


GLYPHS: dict[str, tuple[Shape, ...]] = {
    "car": (
        polygon(
            "body",
            (-1, 0.0),
            (-0.72, -0.08),
            (-0.42, -0.6),
            (0.38, -0.6),
            (0.7, -0.08),
            (1, 0.05),
            (1, 0.42),
            (-1, 0.42),
        ),
        polygon("light", (-0.34, -0.46), (-0.02, -0.46), (-0.02, -0.1), (-0.52, -0.1)),
        polygon("light", (0.1, -0.46), (0.32, -0.46), (0.5, -0.1), (0.1, -0.1)),
        ellipse("dark", -0.55, 0.42, 0.27, 0.27),
        ellipse("dark", 0.55, 0.42, 0.27, 0.27),
        ellipse("light", -0.55, 0.42, 0.1, 0.1),
        ellipse("light", 0.55, 0.42, 0.1, 0.1),
    ),
    "bus": (
        rectangle("body", -1, -0.72, 1, 0.52),
        rectangle("light", -0.88, -0.52, -0.5, -0.08),
        rectangle("light", -0.4, -0.52, -0.02, -0.08),
        rectangle("light", 0.08, -0.52, 0.46, -0.08),
        rectangle("dark", 0.58, -0.52, 0.88, 0.52),
        ellipse("dark", -0.58, 0.55, 0.24, 0.24),
        ellipse("dark", 0.3, 0.55, 0.24, 0.24),
    ),
    "bicycle": (
        *_ring("body", -0.56, 0.3, 0.46, 0.26),
        *_ring("body", 0.56, 0.3, 0.46, 0.26),
        line("body", (-0.56, 0.3), (-0.12, -0.4), 0.17),
        line("body", (-0.12, -0.38), (0.42, -0.38), 0.17),
        line("body", (0.02, 0.3), (0.42, -0.38), 0.17),
        line("body", (-0.56, 0.3), (0.02, 0.3), 0.17),
        line("body", (0.36, -0.62), (0.56, 0.3), 0.15),
        rectangle("dark", -0.34, -0.6, 0.06, -0.44),
        rectangle("dark", 0.2, -0.76, 0.56, -0.6),
    ),
    "truck": (
        rectangle("body", -1, -0.78, 0.28, 0.42),
        rectangle("shade", -0.98, 0.02, 0.28, 0.16),
        polygon("tint", (0.36, -0.32), (0.78, -0.32), (1, 0.06), (1, 0.42), (0.36, 0.42)),
        polygon("dark", (0.48, -0.2), (0.72, -0.2), (0.87, 0.06), (0.48, 0.06)),
        ellipse("dark", -0.68, 0.46, 0.23, 0.23),
        ellipse("dark", -0.16, 0.46, 0.23, 0.23),
        ellipse("dark", 0.66, 0.46, 0.23, 0.23),
    ),
    "mailbox": (
        rectangle("wood", -0.14, 0.2, 0.14, 1),
        ellipse("body", 0, -0.3, 0.72, 0.62, 180, 360),
        rectangle("body", -0.72, -0.32, 0.72, 0.36),
        rectangle("dark", -0.42, -0.2, 0.42, -0.06),
        rectangle("light", 0.72, -0.7, 0.98, -0.42),
        rectangle("dark", 0.72, -0.7, 0.8, 0.0),
    ),
    "flower": (
        line("leaf", (0, 0.0), (0, 1), 0.14),
        polygon("leaf", (0, 0.8), (0.55, 0.45), (0.35, 0.85)),
        polygon("leaf", (0, 0.9), (-0.55, 0.55), (-0.35, 0.95)),
        *(_petal(angle) for angle in (0, 60, 120, 180, 240, 300)),
        ellipse("glow", 0, -0.25, 0.28, 0.28),
        ellipse("dark", 0, -0.25, 0.12, 0.12),
    ),
    "tree": (
        rectangle("wood", -0.17, 0.15, 0.17, 1),
        ellipse("body", -0.42, 0.0, 0.48, 0.4),
        ellipse("body", 0.42, 0.0, 0.48, 0.4),
        ellipse("body", 0, -0.42, 0.6, 0.55),
        ellipse("shade", -0.25, -0.1, 0.16, 0.13),
        ellipse("shade", 0.3, -0.3, 0.16, 0.13),
        ellipse("tint", -0.15, -0.6, 0.16, 0.13),
    ),
    "mushroom": (
        polygon("light", (-0.26, 0.0), (0.26, 0.0), (0.36, 0.9), (-0.36, 0.9)),
        ellipse("body", 0, 0.08, 0.95, 0.9, 180, 360),
        ellipse("light", -0.45, -0.25, 0.17, 0.15),
        ellipse("light", 0.1, -0.5, 0.19, 0.16),
        ellipse("light", 0.52, -0.16, 0.15, 0.13),
    ),
    "bucket": (
        *_ring("dark", 0, -0.3, 0.74, 0.62),
        polygon("body", (-0.82, -0.3), (0.82, -0.3), (0.55, 0.92), (-0.55, 0.92)),
        ellipse("dark", 0, -0.3, 0.82, 0.2),
        ellipse("shade", 0, -0.27, 0.68, 0.13),
        polygon("light", (-0.7, 0.22), (0.7, 0.22), (0.66, 0.4), (-0.66, 0.4)),
    ),
    "butterfly": (
        polygon("body", (0, -0.05), (-0.35, -0.75), (-0.85, -0.8), (-1, -0.35), (-0.6, 0.05)),
        polygon("body", (0, -0.05), (0.35, -0.75), (0.85, -0.8), (1, -0.35), (0.6, 0.05)),
        polygon("shade", (0, 0), (-0.7, 0.1), (-0.75, 0.6), (-0.35, 0.8)),
        polygon("shade", (0, 0), (0.7, 0.1), (0.75, 0.6), (0.35, 0.8)),
        ellipse("light", -0.66, -0.45, 0.16, 0.16),
        ellipse("light", 0.66, -0.45, 0.16, 0.16),
        ellipse("dark", 0, 0, 0.12, 0.66),
        line("dark", (0, -0.5), (-0.25, -0.95), 0.08),
        line("dark", (0, -0.5), (0.25, -0.95), 0.08),
    ),
    "sailboat": (
        polygon("body", (-1, 0.45), (1, 0.45), (0.65, 0.95), (-0.65, 0.95)),
        rectangle("dark", -0.07, -1, 0.05, 0.5),
        polygon("tint", (-0.14, -0.9), (-0.14, 0.32), (-0.85, 0.32)),
        polygon("body", (0.12, -0.75), (0.12, 0.32), (0.8, 0.32)),
    ),
    "lighthouse": (
        polygon("body", (-0.34, -0.4), (0.34, -0.4), (0.52, 1), (-0.52, 1)),
        polygon("light", (-0.385, -0.05), (0.385, -0.05), (0.43, 0.28), (-0.43, 0.28)),
        rectangle("dark", -0.48, -0.5, 0.48, -0.38),
        rectangle("glow", -0.24, -0.8, 0.24, -0.5),
        polygon("dark", (-0.36, -0.78), (0, -1), (0.36, -0.78)),
        rectangle("dark", -0.12, 0.68, 0.12, 1),
    ),
    "barrel": (
        polygon(
            "body",
            (-0.5, -0.92),
            (0.5, -0.92),
            (0.7, -0.3),
            (0.7, 0.3),
            (0.5, 0.92),
            (-0.5, 0.92),
            (-0.7, 0.3),
            (-0.7, -0.3),
        ),
        rectangle("dark", -0.64, -0.62, 0.64, -0.46),
        rectangle("dark", -0.64, 0.46, 0.64, 0.62),
        rectangle("shade", -0.24, -0.46, -0.16, 0.46),
        rectangle("shade", 0.18, -0.46, 0.26, 0.46),
        ellipse("tint", 0, -0.9, 0.5, 0.1),
    ),
    "fish": (
        polygon("shade", (0.45, 0), (1, -0.55), (0.88, 0), (1, 0.55)),
        polygon("shade", (-0.2, -0.35), (0.25, -0.8), (0.3, -0.3)),
        ellipse("body", -0.15, 0, 0.8, 0.5),
        ellipse("light", -0.58, -0.12, 0.17, 0.17),
        ellipse("dark", -0.6, -0.12, 0.08, 0.08),
        polygon("tint", (-0.1, -0.3), (0.02, 0.0), (-0.1, 0.3), (-0.2, 0.3), (-0.08, 0.0), (-0.2, -0.3)),
        polygon("tint", (0.2, -0.25), (0.32, 0.0), (0.2, 0.25), (0.1, 0.25), (0.22, 0.0), (0.1, -0.25)),
    ),
    "anchor": (
        *_ring("body", 0, -0.72, 0.27, 0.12),
        rectangle("body", -0.13, -0.5, 0.13, 0.9),
        rectangle("body", -0.52, -0.4, 0.52, -0.18),
        polygon(
            "body",
            (-0.95, 0.1),
            (-0.62, 0.38),
            (-0.3, 0.62),
            (0, 0.68),
            (0.3, 0.62),
            (0.62, 0.38),
            (0.95, 0.1),
            (0.8, 0.62),
            (0.4, 0.92),
            (0, 1),
            (-0.4, 0.92),
            (-0.8, 0.62),
        ),
    ),
    "airplane": (
        polygon("shade", (-0.15, -0.1), (0.2, -0.1), (-0.25, -0.95), (-0.5, -0.95)),
        polygon("shade", (-0.15, 0.1), (0.2, 0.1), (-0.25, 0.95), (-0.5, 0.95)),
        polygon("shade", (-0.95, -0.42), (-0.75, -0.42), (-0.55, 0), (-0.75, 0.42), (-0.95, 0.42)),
        ellipse("body", 0.02, 0, 0.97, 0.22),
        polygon("dark", (0.62, -0.12), (0.8, -0.1), (0.8, 0.1), (0.62, 0.12)),
        ellipse("light", 0.3, 0, 0.07, 0.07),
        ellipse("light", 0.05, 0, 0.07, 0.07),
        ellipse("light", -0.2, 0, 0.07, 0.07),
    ),
    "balloon": (
        line("dark", (0, 0.5), (0.12, 1), 0.07),
        ellipse("body", 0, -0.28, 0.62, 0.72),
        polygon("shade", (-0.15, 0.6), (0.15, 0.6), (0, 0.38)),
        ellipse("tint", -0.22, -0.52, 0.16, 0.24),
    ),
    "kite": (
        line("dark", (0, 0.4), (-0.3, 0.72), 0.07),
        line("dark", (-0.3, 0.72), (0.05, 1), 0.07),
        polygon("light", (-0.46, 0.6), (-0.14, 0.84), (-0.14, 0.6), (-0.46, 0.84)),
        polygon("body", (0, -1), (0.66, -0.3), (0, 0.48), (-0.66, -0.3)),
        polygon("shade", (0, -1), (0.66, -0.3), (0, -0.3)),
        polygon("shade", (0, 0.48), (-0.66, -0.3), (0, -0.3)),
        line("dark", (0, -1), (0, 0.48), 0.06),
        line("dark", (-0.66, -0.3), (0.66, -0.3), 0.06),
    ),
    "rocket": (
        polygon("glow", (-0.22, 0.6), (0.22, 0.6), (0, 1)),
        polygon("shade", (-0.3, 0.1), (-0.72, 0.72), (-0.3, 0.6)),
        polygon("shade", (0.3, 0.1), (0.72, 0.72), (0.3, 0.6)),
        polygon("body", (0, -1), (0.26, -0.62), (0.36, -0.1), (0.3, 0.62), (-0.3, 0.62), (-0.36, -0.1), (-0.26, -0.62)),
        ellipse("dark", 0, -0.3, 0.2, 0.2),
        ellipse("light", 0, -0.3, 0.13, 0.13),
        rectangle("dark", -0.3, 0.48, 0.3, 0.62),
    ),
    "sofa": (
        rectangle("dark", -0.8, 0.55, -0.62, 0.78),
        rectangle("dark", 0.62, 0.55, 0.8, 0.78),
        rectangle("body", -0.8, -0.55, 0.8, 0.3),
        rectangle("dark", -0.03, -0.5, 0.03, 0.1),
        rectangle("tint", -0.72, 0.1, 0.72, 0.42),
        ellipse("body", -0.84, -0.02, 0.2, 0.18),
        ellipse("body", 0.84, -0.02, 0.2, 0.18),
        rectangle("body", -1, 0.0, -0.68, 0.6),
        rectangle("body", 0.68, 0.0, 1, 0.6),
        rectangle("shade", -0.68, 0.42, 0.68, 0.6),
    ),
    "television": (
        line("dark", (0, -0.55), (-0.5, -1), 0.09),
        line("dark", (0, -0.55), (0.5, -1), 0.09),
        rectangle("body", -0.95, -0.58, 0.95, 0.72),
        rectangle("dark", -0.74, -0.4, 0.4, 0.54),
        polygon("light", (-0.6, -0.26), (-0.15, -0.26), (-0.5, 0.36), (-0.6, 0.36)),
        ellipse("dark", 0.68, -0.18, 0.13, 0.13),
        ellipse("dark", 0.68, 0.2, 0.13, 0.13),
        rectangle("dark", -0.7, 0.72, -0.5, 0.92),
        rectangle("dark", 0.5, 0.72, 0.7, 0.92),
    ),
    "book": (
        polygon("shade", (-0.72, -0.78), (0.5, -0.95), (0.78, -0.7), (0.78, 0.78), (-0.45, 0.95), (-0.72, 0.72)),
        polygon("light", (-0.6, 0.6), (0.66, 0.45), (0.7, 0.68), (-0.42, 0.84)),
        polygon("body", (-0.72, -0.78), (0.5, -0.95), (0.66, 0.5), (-0.6, 0.66)),
        polygon("light", (-0.4, -0.5), (0.34, -0.6), (0.38, -0.22), (-0.36, -0.12)),
        line("dark", (-0.62, -0.74), (-0.5, 0.62), 0.08),
    ),
    "hat": (
        ellipse("body", 0, 0.42, 1, 0.3),
        polygon("body", (-0.55, 0.4), (-0.5, -0.5), (-0.2, -0.72), (0.2, -0.72), (0.5, -0.5), (0.55, 0.4)),
        polygon("dark", (-0.55, 0.36), (-0.53, 0.06), (0.53, 0.06), (0.55, 0.36)),
        ellipse("tint", 0, -0.56, 0.32, 0.1),
    ),
    "umbrella": (
        rectangle("dark", -0.06, -0.2, 0.06, 0.8),
        ellipse("dark", 0.16, 0.78, 0.22, 0.2, 0, 180),
        ellipse("clear", 0.16, 0.76, 0.1, 0.1, 0, 180),
        ellipse("body", 0, 0.12, 1, 1.0, 180, 360),
        polygon("shade", (-0.34, 0.12), (-0.26, -0.4), (0, -0.88), (0.26, -0.4), (0.34, 0.12)),
        ellipse("clear", -0.67, 0.14, 0.3, 0.14),
        ellipse("clear", 0, 0.14, 0.3, 0.0001),
        ellipse("clear", 0.67, 0.14, 0.3, 0.14),
        line("dark", (0, -0.86), (0, -1), 0.1),
    ),
}
