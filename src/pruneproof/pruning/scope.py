"""SCOPE (Deng et al., NeurIPS 2025): patches that cover the picture's features, those that CLS attends to first.

Source: kinredon/SCOPE `scope/clip_encoder.py` (`SCOPE`, `CLIPVisionTower_SCOPE.forward`) with its defaults, alpha 1 and
the product of coverage and attention; not ported: their sum (`COMBINED=add`). The official code sums attention over
heads where the mean is taken here, which makes every score smaller by the same factor. For LLaVA-NeXT it gives each
crop the same budget; here the crops share one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from pruneproof.pruning import kept_count
from pruneproof.pruning._budgets import Keep
from pruneproof.pruning.protocol import Kept, Selects, Signals, Texts, VisualTokens
from pruneproof.settings import Frozen

if TYPE_CHECKING:
    from torch import Tensor


class Settings(Frozen):
    """Options of SCOPE."""

    keep: Keep
    """Share of visual tokens kept, in (0, 1], or a published budget."""
    alpha: Annotated[float, Field(ge=0.0)] = 1.0
    """Exponent of attention: 0 is coverage alone."""
    layer: int = -2
    """Layer of the vision tower whose attention counts: the one whose output LLaVA's connector reads."""


def covering(features: Tensor, weights: Tensor, k: int) -> Tensor:
    """Greedy choice by weighted gain in coverage; among equals the first wins.

    A patch is covered as far as its cosine with the most similar patch chosen so far, but not below zero. What a patch
    would add to that, over all patches, times its weight, is its score.

    Args:
        features: [N, D].
        weights: [N], not negative.
        k: 1 to N.

    Returns:
        int64 [k] ascending.
    """
    import torch

    unit = torch.nn.functional.normalize(features.float(), dim=-1)
    similarity = unit @ unit.T
    covered = torch.zeros_like(weights)
    free = torch.ones_like(weights, dtype=torch.bool)
    for _ in range(k):
        gains = (similarity - covered[:, None]).clamp(min=0.0).sum(dim=0) * weights
        best = int(gains.masked_fill(~free, float("-inf")).argmax())
        free[best] = False
        covered = covered.maximum(similarity[best])
    return (~free).nonzero()[:, 0]


@dataclass(frozen=True, slots=True)
class Scope(Selects):
    """SCOPE."""

    settings: Settings
    title = "SCOPE"
    kind = "diversity"
    door = "before_connector"

    @property
    def signals(self) -> Signals:
        """CLS attention."""
        return Signals(cls_attention=(self.settings.layer,))

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """The share that is kept, rounded."""
        return (kept_count(self.settings.keep, count),) * layers

    def select(self, tokens: VisualTokens, texts: Texts, rng: np.random.Generator) -> list[Kept]:
        """Patches that cover the others, in the picture's order."""
        weights = tokens.cls_attention(self.settings.layer) ** self.settings.alpha
        return [Kept(covering(tokens.features, weights, kept_count(self.settings.keep, tokens.count)))]


def build(settings: Settings) -> Scope:
    """SCOPE with its options."""
    return Scope(settings)
