"""Random pruning: the control that any claim about a selection rule has to beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pruneproof.pruning import kept_count
from pruneproof.pruning.protocol import Kept, Selects, Texts, VisualTokens
from pruneproof.settings import Frozen, Share


class Settings(Frozen):
    """Options of random pruning."""

    keep: Share
    """Share of visual tokens kept, in (0, 1]."""


@dataclass(frozen=True, slots=True)
class Random(Selects):
    """Keeps a uniformly drawn set, the same for all questions on one picture, reworded ones and dialogues too."""

    settings: Settings
    title = "Random"
    kind = "control"
    door = "before_connector"

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """The share that is kept, rounded."""
        return (kept_count(self.settings.keep, count),) * layers

    def select(self, tokens: VisualTokens, texts: Texts, rng: np.random.Generator) -> list[Kept]:
        """Indices drawn without replacement."""
        import torch

        drawn = rng.permutation(tokens.count)[: kept_count(self.settings.keep, tokens.count)]
        return [Kept(torch.from_numpy(np.sort(drawn)).to(tokens.features.device))]


def build(settings: Settings) -> Random:
    """Random pruning at a keep ratio."""
    return Random(settings)
