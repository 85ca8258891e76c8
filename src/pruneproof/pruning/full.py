"""The full model: every visual token is kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pruneproof.pruning.protocol import Kept, Selects, Texts, VisualTokens
from pruneproof.settings import Frozen


class Settings(Frozen):
    """The full model has no options."""


@dataclass(frozen=True, slots=True)
class Full(Selects):
    """Keeps everything."""

    title = "Full"
    kind = "full"
    door = "before_connector"

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """All of them."""
        return (count,) * layers

    def select(self, tokens: VisualTokens, texts: Texts, rng: np.random.Generator) -> list[Kept]:
        """All of them."""
        import torch

        return [Kept(torch.arange(tokens.count, device=tokens.features.device))]


def build(settings: Settings) -> Full:
    """The full model."""
    del settings
    return Full()
