"""What families with a SigLIP vision tower share: the patches of one or more crops, and no CLS and no CLIP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor

from pruneproof.backbones.clip.vision import by_heads
from pruneproof.errors import MethodError
from pruneproof.pruning.protocol import Signals

USUAL = Signals(received_attention=(-1,))
"""As of `Backbone.usual`."""


@dataclass(frozen=True, slots=True)
class Packing:
    """The N visual tokens of a picture, and the F patches that each is made of.

    A token is what the language model reads. Where the connector joins or mixes patches there is no smaller thing that
    could be kept, so what the connector receives of a token is all of its patches, and a signal of the vision tower is
    the mean over them that the connector takes.
    """

    patches: Tensor
    """int64 [N, F] their numbers among the patches of all crops, crop by crop."""
    weights: Tensor
    """float32 [N, F] how much of the token each is; rows add up to one."""
    places: Tensor
    """int64 [N, 3] as of `VisualTokens.places`."""

    @property
    def count(self) -> int:
        """N."""
        return len(self.patches)

    def gathered(self, states: Tensor) -> Tensor:
        """[N, F * D] patches of each token side by side.

        Args:
            states: [P, D] of all patches.
        """
        return states[self.patches].flatten(1)

    def pooled(self, values: Tensor) -> Tensor:
        """[N, ...] the weighted mean of something that patches have, [P, ...]."""
        return torch.einsum("nf...,nf->n...", values[self.patches], self.weights.to(values.dtype))


@dataclass(frozen=True, slots=True)
class SiglipImage:
    """One picture as a SigLIP vision tower leaves it; implements `VisualTokens`."""

    states: tuple[Tensor, ...]
    """Hidden states [C, P, D] of the crops: the input of the first layer, then the output of every layer."""
    features: Tensor
    """[N, F * D] what the connector receives."""
    size: tuple[int, int]
    """Width and height of the picture in pixels."""
    packing: Packing
    layers: Any
    """The tower's layers."""

    @property
    def count(self) -> int:
        """N."""
        return self.packing.count

    @property
    def start(self) -> int:
        """All of them."""
        return self.count

    @property
    def origin(self) -> Tensor:
        """[N] each is itself."""
        return torch.arange(self.count, device=self.features.device)

    @property
    def cls(self) -> Tensor:
        """[0, F * D]."""
        return self.features[:0]

    @property
    def tower_features(self) -> Tensor:
        """[N, F * D] what the connector receives."""
        return self.features

    @property
    def places(self) -> Tensor:
        """[N, 3]."""
        return self.packing.places

    @torch.inference_mode()
    def received_attention(self, layer: int) -> Tensor:
        """[N] attention received from the patches of the same crop, mean over heads and queries, then over a token's
        patches; float32."""
        at = self._number(layer)
        # One crop at a time: the map of a crop of 729 patches takes 34 MB.
        return self.packing.pooled(torch.cat([_received(self.layers[at], crop) for crop in self.states[at]]))

    @torch.inference_mode()
    def keys(self, layer: int) -> Tensor:
        """[H, N, W] keys of a layer, mean over a token's patches."""
        at = self._number(layer)
        attention, normed = self.layers[at].self_attn, self.layers[at].layer_norm1(self.states[at])
        patches = by_heads(attention.k_proj(normed).flatten(0, 1)[None], attention.num_heads)[0]
        return torch.stack([self.packing.pooled(head) for head in patches])

    def cls_attention(self, layer: int) -> Tensor:
        """Not there."""
        _lacking("cls_attention", layer)

    def joined_attention(self, layer: int) -> Tensor:
        """Not there."""
        _lacking("joined_attention", layer)

    def aligned(self, layer: int) -> Tensor:
        """Not there."""
        _lacking("aligned", layer)

    def projected(self, layer: int) -> Tensor:
        """Not there."""
        _lacking("projected", layer)

    def _number(self, layer: int) -> int:
        """The layer counted from 0."""
        depth = len(self.layers)
        if not -depth <= layer < depth:
            raise MethodError(
                f"looks at layer {layer} of the vision tower, which has {depth} layers: give 0 to {depth - 1}, or "
                f"-{depth} to -1"
            )
        return layer % depth


def _received(layer: Any, state: Tensor) -> Tensor:
    """[P] mean attention that each patch of one crop, [P, D], receives in a layer.

    Source: transformers `SiglipAttention.forward`, which SmolVLM's copies.
    """
    attention, normed = layer.self_attn, layer.layer_norm1(state[None])
    query, key = (by_heads(part(normed), attention.num_heads) for part in (attention.q_proj, attention.k_proj))
    weights = (query @ key.transpose(-1, -2) * key.shape[-1] ** -0.5).float().softmax(dim=-1)
    mean: Tensor = weights.mean(dim=(1, 2))[0]
    return mean


def _lacking(name: str, layer: int) -> NoReturn:
    raise MethodError(f"looks at {name}({layer}), which a vision tower without CLS and CLIP does not have")
