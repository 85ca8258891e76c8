"""Resize, a control: the vision tower reads a smaller picture, which has fewer patches from the start.

Plain downsampling beats many published methods (VTC-Bench, arXiv 2510.07143). It is cheaper than any of them, too,
because the tower itself has less to read.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

from pruneproof.pruning import kept_count
from pruneproof.pruning._budgets import Keep
from pruneproof.pruning.protocol import Resizes
from pruneproof.settings import Frozen


class Settings(Frozen):
    """Options of resizing."""

    keep: Keep
    """Share of visual tokens wanted, in (0, 1], or a published budget. A square has as many as the square of its side,
    and the nearest of those is taken: 144 for 0.6 of 256."""


@dataclass(frozen=True, slots=True)
class Resize(Resizes):
    """Shrinks every picture alike."""

    settings: Settings
    title = "Resize"
    kind = "control"

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """The square of the side."""
        return (self.side(isqrt(count)) ** 2,) * layers

    def side(self, side: int) -> int:
        """The side whose square is nearest to the number wanted; of two equally near, the smaller."""
        wanted = kept_count(self.settings.keep, side**2)
        below = isqrt(wanted)
        return below if wanted - below**2 <= (below + 1) ** 2 - wanted else below + 1


def build(settings: Settings) -> Resize:
    """Resizing at a keep ratio."""
    return Resize(settings)
