"""BLIP-2's vision tower (EVA) as the code for CLIP towers reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pruneproof.backbones.clip.vision import ClipImage


@dataclass(frozen=True, slots=True)
class SplitAttention:
    """The parts of one attention under CLIP's names."""

    num_heads: int
    q_proj: Callable[[Tensor], Tensor]
    k_proj: Callable[[Tensor], Tensor]
    v_proj: Callable[[Tensor], Tensor]
    out_proj: Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class SplitLayer:
    """A `Blip2EncoderLayer` as the code for CLIP's reads it."""

    layer_norm1: Any
    self_attn: SplitAttention
    layer_norm2: Any
    mlp: Any


def split_layer(layer: Any) -> SplitLayer:
    """A layer whose fused matrix of query, key and value is read in thirds, in this order.

    Source: transformers `Blip2Attention.forward`.
    """
    attention = layer.self_attn
    query, key, value = (_third(attention.qkv, part) for part in range(3))
    split = SplitAttention(attention.num_heads, query, key, value, attention.projection)
    return SplitLayer(layer.layer_norm1, split, layer.layer_norm2, layer.mlp)


def _third(fused: Any, part: int) -> Callable[[Tensor], Tensor]:
    width = fused.in_features
    rows = slice(part * width, (part + 1) * width)

    def project(states: Tensor) -> Tensor:
        return torch.nn.functional.linear(states, fused.weight[rows], None if fused.bias is None else fused.bias[rows])

    return project


@dataclass(frozen=True, slots=True)
class Blip2Image(ClipImage):
    """One image as BLIP-2's vision tower leaves it; implements `VisualTokens`."""

    def _project(self, at: int) -> Tensor:
        """CLIP's remaining layer, which follows the tower's last one, looks at CLS too."""
        return self.clip.project(self.states[at + 1], ended=at + 1 == len(self.layers), unit=False)[1:]
