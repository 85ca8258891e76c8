"""DivPrune (Alvar et al., CVPR 2025): the most diverse tokens, each as far as possible from those already chosen.

Source: vbdi/divprune `LLaVA/llava/model/llava_arch.py` (`DivPrune`, `pairwise_cosine_similarity`); the whole method is
ported. The official default keeps 0.098 of the tokens, 56 of 576.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pruneproof.pruning import kept_count
from pruneproof.pruning._budgets import Keep
from pruneproof.pruning.protocol import Kept, Selects, Texts, VisualTokens
from pruneproof.settings import Frozen

if TYPE_CHECKING:
    from torch import Tensor


class Settings(Frozen):
    """Options of DivPrune."""

    keep: Keep
    """Share of visual tokens kept, in (0, 1], or a published budget."""


def farthest_points(features: Tensor, k: int) -> Tensor:
    """Greedy max-min choice by cosine distance; among equals the first wins.

    The first token is the one whose nearest neighbour is farthest away, each further one that which is farthest from
    the nearest of those chosen.

    Args:
        features: [N, D]; compared in float32.
        k: 1 to N.

    Returns:
        int64 [k] ascending.
    """
    import torch

    unit = torch.nn.functional.normalize(features.float(), dim=-1)
    distance = 1.0 - unit @ unit.T
    # Two nearest neighbours of each other tie, but the product is not symmetric to the last digit.
    distance = distance.minimum(distance.T)
    if len(features) == 1:
        return torch.zeros(1, dtype=torch.long, device=features.device)
    apart = distance.clone()
    apart.fill_diagonal_(float("inf"))
    chosen = [int(apart.amin(dim=0).argmax())]
    nearest = distance[chosen[0]].clone()
    while len(chosen) < k:
        # A chosen token is never chosen again, even where all others are equal to it.
        nearest[chosen[-1]] = float("-inf")
        chosen.append(int(nearest.argmax()))
        nearest = nearest.minimum(distance[chosen[-1]])
    return torch.tensor(sorted(chosen), device=features.device)


@dataclass(frozen=True, slots=True)
class DivPrune(Selects):
    """Looks at nothing but the tokens after the connector, so all questions on a picture share them."""

    settings: Settings
    title = "DivPrune"
    kind = "diversity"
    door = "after_connector"

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """The share that is kept, rounded."""
        return (kept_count(self.settings.keep, count),) * layers

    def select(self, tokens: VisualTokens, texts: Texts, rng: np.random.Generator) -> list[Kept]:
        """The most diverse tokens."""
        return [Kept(farthest_points(tokens.features, kept_count(self.settings.keep, tokens.count)))]


def build(settings: Settings) -> DivPrune:
    """DivPrune with its options."""
    return DivPrune(settings)
