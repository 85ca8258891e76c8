"""A method's decisions on one picture, made again on another: what it would do if it saw the clean original."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pruneproof.pruning.protocol import Kept

View = TypeVar("View")


@dataclass(frozen=True, slots=True)
class Replay(Generic[View]):
    """Decisions by number of the picture, or question, and by layer."""

    decide: Callable[[int, int, View], Kept | None]
    made: dict[tuple[int, int], Kept | None] = field(default_factory=dict)

    def record(self, number: int, layer: int, view: View) -> Kept | None:
        """Decide, and remember it."""
        self.made[number, layer] = self.decide(number, layer, view)
        return self.made[number, layer]

    def again(self, number: int, layer: int, view: View) -> Kept | None:
        """What was decided, whatever is to be seen now."""
        del view
        return self.made[number, layer]
