"""HiPrune (Liu et al., arXiv 2508.00553): what a middle layer looks at, what is beside it, what a deep layer looks at.

Source: Danielement321/HiPrune `LLaVA/llava/model/llava_arch.py::encode_images`. Scores are attention received, mean
over heads and all queries, so no CLS is needed. As there, the neighbours of an anchor are counted along the rows, so
that the one to the right of a row's last patch is the first of the next row. Not ported: for LLaVA-NeXT the official
code divides the budget evenly between the crops and chooses anchors in each; here the crops share one budget.

Of `keep` tokens `round(keep * alpha / 5)` are anchors (4, 3 and 1 of 192, 128 and 64), with Python's rounding of halves
to even as in the official code, so that few tokens have none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from pruneproof.pruning import kept_count, top_k
from pruneproof.pruning._budgets import Keep
from pruneproof.pruning._choosing import descending
from pruneproof.pruning.protocol import Kept, Selects, Signals, Texts, VisualTokens
from pruneproof.settings import Frozen

if TYPE_CHECKING:
    from torch import Tensor


class Settings(Frozen):
    """Options of HiPrune."""

    keep: Keep
    """Share of visual tokens kept, in (0, 1], or a published budget."""
    alpha: Annotated[float, Field(ge=0.0, le=1.0)] = 0.1
    """Share of them that are anchors or neighbours of anchors, as far as these do not overlap."""
    object_layer: int = 8
    """Layer of the vision tower, from 0, that chooses anchors: the ninth of CLIP-L's 24, at 0.375 of its depth. In
    another tower it has to be set."""
    layer: int = -2
    """Layer that chooses all other patches: the one whose output LLaVA's connector reads."""


def crosses(places: Tensor) -> Tensor:
    """int64 [N, 5] each patch, and those before and after it, above and below, as the official code counts them.

    Args:
        places: int64 [N, 3] grid, row and column; each grid's patches row by row, one grid after the other.
    """
    import torch

    found = []
    for grid in sorted(set(places[:, 0].tolist())):
        own = (places[:, 0] == grid).nonzero()[:, 0]
        width = len(set(places[own, 2].tolist()))
        steps = torch.tensor([0, -1, 1, -width, width], device=places.device)
        found.append((own[:, None] + steps).clamp(int(own[0]), int(own[-1])))
    return torch.cat(found)


def anchored(objects: Tensor, deep: Tensor, crosses: Tensor, anchors: int, k: int) -> Tensor:
    """Anchors with their crosses, filled up with other patches.

    Args:
        objects: [N] scores that choose anchors.
        deep: [N] scores that choose the others.
        crosses: int64 [N, 5] each patch first, then its neighbours.
        anchors: their number; what would be more than `k` tokens is cut off, anchors kept before neighbours.
        k: tokens kept.

    Returns:
        int64 [k] ascending.
    """
    near = crosses[descending(objects)[:anchors]].T.flatten().tolist()
    first = deep.new_tensor(list(dict.fromkeys(near))[:k]).long()
    scores = deep.clone()
    scores[first] = float("inf")
    return top_k(scores, k)


@dataclass(frozen=True, slots=True)
class HiPrune(Selects):
    """HiPrune."""

    settings: Settings
    title = "HiPrune"
    kind = "attention"
    door = "before_connector"

    @property
    def signals(self) -> Signals:
        """Attention received in two layers."""
        return Signals(received_attention=(self.settings.object_layer, self.settings.layer), patches=True)

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """The share that is kept, rounded."""
        return (kept_count(self.settings.keep, count),) * layers

    def select(self, tokens: VisualTokens, texts: Texts, rng: np.random.Generator) -> list[Kept]:
        """Anchors, their neighbours and the others, in the picture's order."""
        k = kept_count(self.settings.keep, tokens.count)
        objects, deep = (tokens.received_attention(n) for n in (self.settings.object_layer, self.settings.layer))
        anchors = round(k * self.settings.alpha / 5)
        return [Kept(anchored(objects, deep, crosses(tokens.places), anchors, k))]


def build(settings: Settings) -> HiPrune:
    """HiPrune with its options."""
    return HiPrune(settings)
