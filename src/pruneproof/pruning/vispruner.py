"""VisPruner (Zhang et al., ICCV 2025): half of the patches by CLS attention, half of the others by thinning out alikes.

Source: Theia-4869/VisPruner `llava/model/llava_arch.py::encode_images`; the whole method is ported. For LLaVA-NeXT the
official code gives each crop the same budget; here the crops share one. It fails wherever a round has an odd number of
patches, as with 154 of 256, since it takes the longer half for as long as the shorter one, and where fewer than 16 are
left to thin out. Here a round of an odd number has one more in its first half, and a round drops no more than that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from pruneproof.pruning import kept_count
from pruneproof.pruning._budgets import Keep
from pruneproof.pruning._choosing import descending
from pruneproof.pruning.protocol import Kept, Selects, Signals, Texts, VisualTokens
from pruneproof.settings import Frozen

if TYPE_CHECKING:
    from torch import Tensor

MOST = 8
"""Patches that a round drops."""


class Settings(Frozen):
    """Options of VisPruner."""

    keep: Keep
    """Share of visual tokens kept, in (0, 1], or a published budget."""
    important: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """Share of them that are kept for their attention, cut off (`int()`) as in the official code."""
    layer: int = -2
    """Layer of the vision tower whose attention counts: the one whose output LLaVA's connector reads."""


def thinned(features: Tensor, order: Tensor, k: int) -> Tensor:
    """Drop those of a list of patches that have a near duplicate in it, a few in each round.

    A round splits the list into its even and odd places and drops the even ones that are most similar to any odd one.
    The list goes on with the even ones that stay, the most similar first, and then the odd ones: the order of a list
    decides which pairs its next round compares.

    Args:
        features: [N, D] of all patches.
        order: int64 [R] the list.
        k: patches that stay, 0 to R.

    Returns:
        int64 [k].
    """
    import torch

    unit = torch.nn.functional.normalize(features.float(), dim=-1)
    left = order if k else order[:0]
    while len(left) > k:
        even, odd = left[0::2], left[1::2]
        gone = min(MOST, len(left) - k, len(even))
        listed = unit[left]
        nearest = (listed[0::2] @ listed[1::2].T).amax(dim=-1)
        left = torch.cat([even[descending(nearest)[gone:]], odd])
    return left


@dataclass(frozen=True, slots=True)
class VisPruner(Selects):
    """VisPruner; with `important` 1 it is FasterVLM."""

    settings: Settings
    title = "VisPruner"
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
        """Important patches and diverse ones, in the picture's order."""
        import torch

        k = kept_count(self.settings.keep, tokens.count)
        important = int(k * self.settings.important)
        order = descending(tokens.cls_attention(self.settings.layer))
        diverse = thinned(tokens.features, order[important:], k - important)
        return [Kept(torch.cat([order[:important], diverse]).sort().values)]


def build(settings: Settings) -> VisPruner:
    """VisPruner with its options."""
    return VisPruner(settings)
