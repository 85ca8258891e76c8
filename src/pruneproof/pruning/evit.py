"""EViT (Liang et al., ICLR 2022): at three layers of the vision tower, the patches that CLS attends to most go on.

Source: youweiliang/evit `evit.py` (`Attention.forward`, `Block.forward`), `helpers.py`, with and without
`--fuse_token`. Not ported: training. The paper trains or tunes every model with its method, so using it training-free
in CLIP is a port, and no published row compares with it. As in the official code, patches go on in the order of falling
attention, and the fused token is a sum weighted by attention that is not made to add up to one; in later layers it is
a token like any other. The language model then reads patches in the picture's order, and fused tokens last.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from pruneproof.errors import PruneProofError
from pruneproof.pruning._choosing import descending, plain
from pruneproof.pruning.protocol import Kept, Reduces, TowerLayer
from pruneproof.settings import Frozen, Share

if TYPE_CHECKING:
    from torch import Tensor


class Settings(Frozen):
    """Options of EViT."""

    rate: Share = 0.7
    """Share of the patches that goes on at each layer that drops, rounded up as in the official code. Three times 0.69,
    0.61 and 0.48 leave 190, 132 and 64 of 576, and 85, 59 and 29 of 256."""
    at: Annotated[tuple[Annotated[float, Field(ge=0.0, lt=1.0)], ...], Field(min_length=1)] = (0.25, 0.5, 0.75)
    """Layers that drop, each as a share of the tower's depth, rounded half up: 3, 6 and 9 of 12, as published."""
    fuse: bool = False
    """Whether those that a layer drops go on as one more token."""


def attended(attention: Tensor, k: int, fuse: bool) -> Kept:
    """The k patches of the highest attention [N], in falling order; all others after them as one, if they are fused."""
    import torch

    order = descending(attention)
    if not fuse:
        return Kept(order[:k])
    dropped = attention.clone()
    dropped[order[:k]] = 0.0
    index = torch.cat([order[:k], order.new_tensor([-1])])
    return Kept(index, torch.cat([plain(order[:k], len(attention)), dropped[None]]))


@dataclass(frozen=True, slots=True)
class EVit(Reduces):
    """EViT, training-free."""

    settings: Settings
    title = "EViT"
    kind = "attention"

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """What the layers leave, one after the other."""
        left = count
        for _ in self.settings.at:
            kept = ceil(self.settings.rate * left)
            left = kept + (self.settings.fuse and kept < left)
        return (left,) * layers

    def reduce(self, layer: int, view: TowerLayer, rng: np.random.Generator) -> Kept | None:
        """The patches of the highest attention, at the layers that drop.

        Raises:
            PruneProofError: if the tower has too few layers to drop at each of them apart.
        """
        layers = {int(share * view.depth + 0.5) for share in self.settings.at}
        if len(layers) < len(self.settings.at) or max(layers) >= view.depth:
            raise PruneProofError(
                f"EViT drops patches at {self.settings.at} of the vision tower's depth, which are not as many layers "
                f"of a tower of {view.depth}: name fewer, or others, in `at`"
            )
        k = ceil(self.settings.rate * view.count)
        return attended(view.cls_attention, k, self.settings.fuse) if layer in layers and k < view.count else None


def build(settings: Settings) -> EVit:
    """EViT with its options."""
    return EVit(settings)
