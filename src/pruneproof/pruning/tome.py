"""ToMe (Bolya et al., ICLR 2023): in every layer of the vision tower, pairs of similar patches become one token.

Source: facebookresearch/ToMe `tome/merge.py` (`bipartite_soft_matching`, `merge_wavg`), `tome/patch/timm.py`
(`ToMeBlock`, `ToMeAttention`): keys averaged over heads, alternating sets, means weighted by size, proportional
attention. ToMe was made for classification. Used before a language model, its code leaves open in which order tokens
are read; here it is that of the picture. Its number of mergers a layer is given by the share that is left at the end,
spread evenly over the layers; `r` mergers in each of L layers leave `N - r * L` tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pruneproof.pruning import kept_count
from pruneproof.pruning._budgets import Keep
from pruneproof.pruning.protocol import Kept, Reduces, TowerLayer
from pruneproof.settings import Frozen

if TYPE_CHECKING:
    from torch import Tensor


class Settings(Frozen):
    """Options of ToMe."""

    keep: Keep
    """Share of visual tokens left at the end of the tower, in (0, 1], or a published budget. A layer can merge no
    more than half of its tokens."""


def merged(keys: Tensor, sizes: Tensor, r: int) -> Kept:
    """Merge the r most similar pairs of two alternating sets.

    CLS stands at place 0 of the first set and never merges, so of the patches every second one, from the second on, is
    in the first set.

    Args:
        keys: [N, W] by which tokens are compared.
        sizes: [N] patches that each is made of; means are weighted by them.
        r: mergers, 0 to N // 2.

    Returns:
        N - r tokens: what is left of the first set, then the second set, as in the official code.
    """
    import torch

    metric = torch.nn.functional.normalize(keys, dim=-1)
    place = torch.arange(len(keys), device=keys.device)
    first, second = place[1::2], place[0::2]
    best, partner = (metric[first] @ metric[second].T).max(dim=-1)
    order = best.argsort(dim=-1, descending=True, stable=True)
    gone, stay = order[:r], order[r:].sort().values
    index = torch.cat([first[stay], second])
    share = torch.zeros(len(index), len(keys), dtype=sizes.dtype, device=keys.device)
    share[torch.arange(len(index), device=keys.device), index] = sizes[index]
    share[len(stay) + partner[gone], first[gone]] = sizes[first[gone]]
    return Kept(index, share / share.sum(dim=-1, keepdim=True))


def remaining(start: int, left: int, depth: int, layer: int) -> int:
    """Tokens after a layer's mergers, which are spread evenly over the layers.

    Where a layer would have to merge more than half of its tokens, the layers before it merge more.

    Args:
        start: tokens before the first layer.
        left: tokens after the last one.
        depth: number of layers.
        layer: from 0.
    """
    even = start - (start - left) * (layer + 1) // depth
    return min(even, left << (depth - 1 - layer))


@dataclass(frozen=True, slots=True)
class ToMe(Reduces):
    """ToMe with proportional attention."""

    settings: Settings
    title = "ToMe"
    kind = "merging"
    proportional = True

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """The share that is kept, rounded."""
        return (kept_count(self.settings.keep, count),) * layers

    def reduce(self, layer: int, view: TowerLayer, rng: np.random.Generator) -> Kept | None:
        """This layer's part of the mergers."""
        left = kept_count(self.settings.keep, view.start)
        r = min(view.count - remaining(view.start, left, view.depth, layer), view.count // 2)
        return merged(view.keys.mean(dim=0), view.sizes, r) if r > 0 else None


def build(settings: Settings) -> ToMe:
    """ToMe with its options."""
    return ToMe(settings)
