"""Random pruning: the control that any claim about a selection rule has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pruneproof.pruning import VisualTokens, kept_count
from pruneproof.settings import Frozen, Share

if TYPE_CHECKING:
    from torch import Tensor


class Settings(Frozen):
    """Options of random pruning."""

    keep: Share
    """Share of visual tokens kept, in (0, 1]."""


@dataclass(frozen=True, slots=True)
class Random:
    """Keeps a uniformly drawn set, the same for all questions on one picture, reworded ones and dialogues too."""

    keep: float
    question_dependent: bool = False
    attention_layers: tuple[int, ...] = ()

    def select(self, tokens: VisualTokens, questions: Sequence[str], rng: np.random.Generator) -> Tensor:
        """[1, K] indices drawn without replacement."""
        import torch

        drawn = rng.permutation(tokens.count)[: kept_count(self.keep, tokens.count)]
        return torch.from_numpy(np.sort(drawn))[None]


def build(settings: Settings) -> Random:
    """Random pruning at a keep ratio."""
    return Random(settings.keep)
