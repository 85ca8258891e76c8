"""LVPruning (Sun et al., Findings of NAACL 2025, arXiv 2501.13652), a reconstruction: no code was published.

From its abstract and published summaries, the whole text not being at hand: before some layers of a frozen language
model, a small cross-attention module, in which visual tokens are queries and language tokens keys and values, decides
for each visual token whether it goes on. Decisions are trained as Gumbel-softmax samples that mask attention, with a
loss that holds the share kept to a target; at inference tokens are taken out. Nothing of the model itself changes; up
to 90% of the tokens are gone by the middle layer.

What these leave open is chosen here, and may differ from the paper: both inputs pass an RMS norm; the attention's
output is added to its query and goes through one hidden layer with GELU to two logits; stages stand before layers 1, 8
and 16 of 32 and leave 60, 30 and 10%; at inference each stage keeps so many tokens, those whose logits differ most, in
place of every token that is more likely kept than not; language tokens are those after the image; positions keep their
original numbers, as they do while attention is masked. `training.decision_training` trains the modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field, model_validator

from pruneproof.errors import PruneProofError
from pruneproof.pruning import kept_count, top_k
from pruneproof.pruning._stages import at_depth, require_stages, spread
from pruneproof.pruning.protocol import Kept, LanguageLayer, Narrows, Signals
from pruneproof.settings import Frozen, Share

if TYPE_CHECKING:
    from torch import Tensor


class Settings(Frozen):
    """Options of LVPruning."""

    weights: Annotated[str, Field(min_length=1)]
    """A safetensors file of decision modules for each stage, relative to the project's root; see `shapes`."""
    layers: Annotated[tuple[int, ...], Field(min_length=1)] = (1, 8, 16)
    """Layers, from 0, that first read fewer tokens, in a model of `of` layers; a model of another depth drops them at
    the same shares of its own."""
    keep: tuple[Share, ...] = (0.6, 0.3, 0.1)
    """Share of the visual tokens at the input that each stage leaves, in (0, 1]."""
    of: Annotated[int, Field(ge=2)] = 32
    """Layers of the model that `layers` counts in."""

    @model_validator(mode="after")
    def _in_order(self) -> Settings:
        require_stages(self.layers, self.keep, self.of)
        return self


def shapes(width: int, heads: int, hidden: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a decision module's tensors; in a file each name follows its stage's number: `0.query`.

    Args:
        width: D of the language model's states, a multiple of `heads`.
        heads: H of the cross-attention.
        hidden: M units of the layer that decides.
    """
    return {
        "visual_norm": (width,),
        "text_norm": (width,),
        "query": (heads, width // heads, width),
        "key": (heads, width // heads, width),
        "value": (heads, width // heads, width),
        "out": (width, width),
        "hidden": (hidden, width),
        "hidden_bias": (hidden,),
        "decision": (2, hidden),
        "decision_bias": (2,),
    }


def decide(module: Mapping[str, Tensor], visual: Tensor, text: Tensor, real: Tensor | None = None) -> Tensor:
    """[..., N, 2] logits of dropping and of keeping each visual token.

    Args:
        module: the tensors of `shapes`.
        visual: [..., N, D] states.
        text: [..., S, D] states of the language tokens.
        real: [..., S] which of them are there, where some are padding.
    """
    import torch
    from torch.nn.functional import gelu, linear, rms_norm

    asking = rms_norm(visual.float(), visual.shape[-1:]) * module["visual_norm"]
    asked = rms_norm(text.float(), text.shape[-1:]) * module["text_norm"]
    query, key, value = (
        torch.einsum("hwd,...nd->...hnw", module[name], states)
        for name, states in (("query", asking), ("key", asked), ("value", asked))
    )
    scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    if real is not None:
        scores = scores.masked_fill(~real[..., None, None, :], float("-inf"))
    heard = (scores.softmax(dim=-1) @ value).transpose(-2, -3).flatten(-2)
    told = asking + linear(heard, module["out"])
    hidden = gelu(linear(rms_norm(told, told.shape[-1:]), module["hidden"], module["hidden_bias"]))
    return linear(hidden, module["decision"], module["decision_bias"])


@dataclass(frozen=True, slots=True)
class LvPruning(Narrows):
    """LVPruning with trained decision modules."""

    settings: Settings
    title = "LVPruning (reconstruction)"
    kind = "text-guided"

    @property
    def signals(self) -> Signals:
        """The decision modules."""
        return Signals(weights=self.settings.weights)

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """The shares, rounded."""
        before = at_depth(self.settings.layers, self.settings.of, layers)
        return spread(before, [kept_count(share, count) for share in self.settings.keep], count, layers)

    def narrow(self, layer: int, view: LanguageLayer, rng: np.random.Generator) -> Kept | None:
        """The tokens that a stage's module is surest to keep."""
        before = at_depth(self.settings.layers, self.settings.of, view.depth)
        if layer not in before:
            return None
        stage = before.index(layer)
        left = kept_count(self.settings.keep[stage], view.start)
        if left >= len(view.visual):
            return None
        logits = decide(self._module(view.weights, stage), view.state[view.visual], view.state[view.text])
        return Kept(top_k(logits[:, 1] - logits[:, 0], left))

    def _module(self, weights: Mapping[str, Tensor], stage: int) -> dict[str, Tensor]:
        """One stage's tensors."""
        try:
            return {name: weights[f"{stage}.{name}"] for name in shapes(1, 1, 1)}
        except KeyError as error:
            raise PruneProofError(
                f"{self.settings.weights} has no tensor {error.args[0]!r}: it must hold a decision module for each of "
                f"the {len(self.settings.layers)} stages in `layers`"
            ) from error


def build(settings: Settings) -> LvPruning:
    """LVPruning with its options."""
    return LvPruning(settings)
