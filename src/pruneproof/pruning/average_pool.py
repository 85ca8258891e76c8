"""Average pooling, a control: the mean of the patches in each of equally large cells of the picture.

With a quarter of a square grid's patches this is the pooling over 2 x 2 patches of Wen et al. (arXiv 2502.11501).
"""

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
    """Options of average pooling."""

    keep: Keep
    """Tokens that are left as a share of all, in (0, 1], or a published budget."""
    door: Literal["before_connector", "after_connector"] = "before_connector"
    """Where it acts; after a Q-Former or a resampler no token has a place."""


@dataclass(frozen=True, slots=True)
class AveragePool(Selects):
    """Cuts every picture into the same cells."""

    settings: Settings
    title = "Average pool"
    kind = "control"
    signals = Signals(patches=True)

    @property
    def door(self) -> Door:
        """As its options say."""
        return self.settings.door

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """The share that is left, rounded."""
        return (kept_count(self.settings.keep, count),) * layers

    def select(self, tokens: VisualTokens, texts: Texts, rng: np.random.Generator) -> list[Kept]:
        """The mean of every cell."""
        import torch

        cut = cells(tokens.places, kept_count(self.settings.keep, tokens.count))
        weights = torch.zeros(len(cut), tokens.count, device=tokens.features.device)
        for row, (_, members) in enumerate(cut):
            weights[row, members] = 1.0 / len(members)
        return [Kept(tokens.places.new_tensor([middle for middle, _ in cut]), weights)]


def build(settings: Settings) -> AveragePool:
    """Average pooling at a keep ratio."""
    return AveragePool(settings)
