"""What every family with a CLIP vision tower shares: hidden states, parts of its attention, CLIP space."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pruneproof.backbones.clip.text_towers import ClipSpace
from pruneproof.errors import MethodError
from pruneproof.pruning.protocol import Signals

USUAL = Signals(cls_attention=(-1, -2), aligned=(-1,))
"""What most methods look at in a CLIP tower; see `Backbone.usual`."""


def cls_attention(layer: Any, state: Tensor, heads: int | None = None) -> Tensor:
    """Attention of CLS to every patch in one CLIP layer, mean over heads.

    Only the CLS row is computed, so the tower itself can run without materialised attention maps; the softmax runs over
    CLS and all patches, and CLS's attention to itself is then left out.

    Source: Theia-4869/FasterVLM `clip_encoder.py::feature_select`, `attentions[:, :, 0, 1:].mean(1)`.

    Args:
        layer: a transformers CLIP encoder layer.
        state: [B, 1 + N, D] the layer's input, CLS first.
        heads: that the width is cut into; None for as many as the layer has.

    Returns:
        [B, N].
    """
    normed = layer.layer_norm1(state)
    heads = heads or layer.self_attn.num_heads
    query = by_heads(layer.self_attn.q_proj(normed[:, :1]), heads)
    key = by_heads(layer.self_attn.k_proj(normed), heads)
    weights = (query @ key.transpose(-1, -2) * key.shape[-1] ** -0.5).float().softmax(dim=-1)
    mean: Tensor = weights[:, :, 0, 1:].mean(dim=1)
    return mean


def by_heads(projected: Tensor, heads: int) -> Tensor:
    """[B, H, T, W] of [B, T, H * W]."""
    return projected.view(*projected.shape[:-1], heads, -1).transpose(1, 2)


@dataclass(frozen=True, slots=True)
class ClipImage:
    """One image as a CLIP vision tower leaves it; implements `VisualTokens`."""

    states: tuple[Tensor, ...]
    """Hidden states [1 + N, D]: the input of the first layer, then the output of every layer; CLS first."""
    features: Tensor
    """[N, D] what the connector receives of the patches."""
    cls: Tensor
    """[1, D] and of CLS."""
    size: tuple[int, int]
    """Width and height of the picture in pixels."""
    layers: Any
    """The tower's layers."""
    clip: ClipSpace
    _projected: dict[int, Tensor] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of patches."""
        return len(self.features)

    @property
    def start(self) -> int:
        """All of them."""
        return self.count

    @property
    def origin(self) -> Tensor:
        """[N] each is itself."""
        return torch.arange(self.count, device=self.features.device)

    @property
    def tower_features(self) -> Tensor:
        """[N, D] what the connector receives."""
        return self.features

    @property
    def places(self) -> Tensor:
        """[N, 3] row and column in the one grid."""
        return square_places(self.count, self.features.device)

    def cls_attention(self, layer: int) -> Tensor:
        """[N] CLS attention of a layer; -1 is the last."""
        return self._of_cls(layer, None)

    def joined_attention(self, layer: int) -> Tensor:
        """[N] CLS attention with all heads joined."""
        return self._of_cls(layer, 1)

    @torch.inference_mode()
    def received_attention(self, layer: int) -> Tensor:
        """[N] mean over heads and queries."""
        attention, normed = self._entered(layer)
        query, key = (by_heads(part(normed), attention.num_heads) for part in (attention.q_proj, attention.k_proj))
        weights = (query @ key.transpose(-1, -2) * key.shape[-1] ** -0.5).float().softmax(dim=-1)
        mean: Tensor = weights.mean(dim=(1, 2))[0, 1:]
        return mean

    @torch.inference_mode()
    def keys(self, layer: int) -> Tensor:
        """[H, N, W] keys of a layer."""
        attention, normed = self._entered(layer)
        return by_heads(attention.k_proj(normed), attention.num_heads)[0, :, 1:]

    def aligned(self, layer: int) -> Tensor:
        """[N, E] patches of a layer in CLIP space, of unit length."""
        return torch.nn.functional.normalize(self.projected(layer), dim=-1)

    def projected(self, layer: int) -> Tensor:
        """[N, E] patches of a layer in CLIP space."""
        at = self._number(layer)
        if at not in self._projected:
            self._projected[at] = self._project(at)
        return self._projected[at]

    def _project(self, at: int) -> Tensor:
        return self.clip.project(self.states[at + 1][1:], unit=False)

    @torch.inference_mode()
    def _of_cls(self, layer: int, heads: int | None) -> Tensor:
        at = self._number(layer)
        return cls_attention(self.layers[at], self.states[at][None], heads)[0]

    def _entered(self, layer: int) -> tuple[Any, Tensor]:
        at = self._number(layer)
        return self.layers[at].self_attn, self.layers[at].layer_norm1(self.states[at][None])

    def _number(self, layer: int) -> int:
        """The layer counted from 0."""
        depth = len(self.layers)
        if not -depth <= layer < depth:
            raise MethodError(
                f"looks at layer {layer} of the vision tower, which has {depth} layers: give 0 to {depth - 1}, or "
                f"-{depth} to -1"
            )
        return layer % depth


def square_places(count: int, device: torch.device) -> Tensor:
    """int64 [count, 3] grid, row and column of the patches of one square."""
    side = round(count**0.5)
    place = torch.arange(count, device=device)
    return torch.stack([torch.zeros_like(place), place // side, place % side], dim=-1)
