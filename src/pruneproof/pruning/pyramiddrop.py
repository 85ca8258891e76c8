"""PyramidDrop (Xing et al., arXiv 2410.17247): fewer and fewer visual tokens, in stages through the language model.

Source: Cooperx521/PyramidDrop `llava/model/modeling_llama_pdrop.py::pdrop_rank_drop`. After layers 8, 16 and 24 of 32 a
half, a quarter and an eighth of the visual tokens are left. They are ranked by the attention that the prompt's last
token would pay them in the *next* layer, whose norm and projections are applied to the state before it; mean over
heads. What is left is renumbered. Shares are cut off (`int()`), not rounded; the official code would keep none of
few tokens, here at least one is left. The official code ranks in the model's own precision after the softmax, here in
float32. Its training is not ported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from pruneproof.pruning import top_k
from pruneproof.pruning._stages import at_depth, require_stages, spread
from pruneproof.pruning.protocol import Kept, LanguageLayer, Narrows
from pruneproof.settings import Frozen, Share


class Settings(Frozen):
    """Options of PyramidDrop."""

    layers: Annotated[tuple[int, ...], Field(min_length=1)] = (8, 16, 24)
    """Layers after which visual tokens are dropped, counted from 1 in a model of `of` layers; a model of another depth
    drops them at the same shares of its own."""
    keep: tuple[Share, ...] = (0.5, 0.25, 0.125)
    """Share of the visual tokens at the input that each stage leaves, in (0, 1]."""
    of: Annotated[int, Field(ge=2)] = 32
    """Layers of the model that `layers` counts in."""

    @model_validator(mode="after")
    def _in_order(self) -> Settings:
        require_stages(self.layers, self.keep, self.of)
        return self


@dataclass(frozen=True, slots=True)
class PyramidDrop(Narrows):
    """PyramidDrop at inference."""

    settings: Settings
    title = "PyramidDrop"
    kind = "language"
    renumbers = True

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """The shares, cut off to whole tokens."""
        chosen = self.settings
        before = at_depth(chosen.layers, chosen.of, layers)
        return spread(before, [self._left(share, count) for share in chosen.keep], count, layers)

    def narrow(self, layer: int, view: LanguageLayer, rng: np.random.Generator) -> Kept | None:
        """The tokens that the last one of the prompt attends to most in this layer."""
        import torch

        chosen = self.settings
        before = at_depth(chosen.layers, chosen.of, view.depth)
        if layer not in before:
            return None
        left = self._left(chosen.keep[before.index(layer)], view.start)
        if left >= len(view.visual):
            return None
        last = torch.tensor([len(view.state) - 1], device=view.state.device)
        scores = view.attention(last)[:, 0, view.visual].mean(dim=0)
        return Kept(top_k(scores, left))

    @staticmethod
    def _left(share: float, count: int) -> int:
        return max(1, int(count * share))


def build(settings: Settings) -> PyramidDrop:
    """PyramidDrop with its options."""
    return PyramidDrop(settings)
