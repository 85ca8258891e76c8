"""The full model: every visual token is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pruneproof.pruning import VisualTokens
from pruneproof.settings import Frozen

if TYPE_CHECKING:
    from torch import Tensor


class Settings(Frozen):
    """The full model has no options."""


@dataclass(frozen=True, slots=True)
class Full:
    """Keeps everything."""

    question_dependent: bool = False
    attention_layers: tuple[int, ...] = ()

    def select(self, tokens: VisualTokens, questions: Sequence[str], rng: np.random.Generator) -> Tensor:
        """All indices, [1, N]."""
        import torch

        return torch.arange(tokens.count)[None]


def build(settings: Settings) -> Full:
    """The full model."""
    del settings
    return Full()
