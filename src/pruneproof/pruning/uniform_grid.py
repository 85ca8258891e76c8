"""Uniform grid, a control: the patches in the middle of equally large cells of the picture, whatever they show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pruneproof.pruning import kept_count
from pruneproof.pruning._budgets import Keep
from pruneproof.pruning._cells import cells
from pruneproof.pruning.protocol import Door, Kept, Selects, Signals, Texts, VisualTokens
from pruneproof.settings import Frozen


class Settings(Frozen):
    """Options of the uniform grid."""

    keep: Keep
    """Share of visual tokens kept, in (0, 1], or a published budget."""
    door: Literal["before_connector", "after_connector"] = "before_connector"
    """Where it acts; after a Q-Former or a resampler no token has a place."""


@dataclass(frozen=True, slots=True)
class UniformGrid(Selects):
    """Keeps the same places of every picture."""

    settings: Settings
    title = "Uniform grid"
    kind = "control"
    signals = Signals(patches=True)

    @property
    def door(self) -> Door:
        """As its options say."""
        return self.settings.door

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """The share that is kept, rounded."""
        return (kept_count(self.settings.keep, count),) * layers

    def select(self, tokens: VisualTokens, texts: Texts, rng: np.random.Generator) -> list[Kept]:
        """The middle of every cell."""
        cut = cells(tokens.places, kept_count(self.settings.keep, tokens.count))
        return [Kept(tokens.places.new_tensor([middle for middle, _ in cut]))]


def build(settings: Settings) -> UniformGrid:
    """A uniform grid at a keep ratio."""
    return UniformGrid(settings)
