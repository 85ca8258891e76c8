"""BLIP-2's vision tower (EVA) as the code for CLIP towers reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pruneproof.backbones._vision import ClipImage


@dataclass(frozen=True, slots=True)
class SplitAttention:
    """Query and key of one attention."""

    num_heads: int
    q_proj: Callable[[Tensor], Tensor]
    k_proj: Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class SplitLayer:
    """A `Blip2EncoderLayer` with what `cls_attention` needs of it under CLIP's names."""

    layer_norm1: Any
    self_attn: SplitAttention


def split_layer(layer: Any) -> SplitLayer:
    """A layer whose fused matrix of query, key and value is read in thirds, in this order.

    Source: transformers `Blip2Attention.forward`.
    """
    attention = layer.self_attn
    query, key = (_third(attention.qkv, part) for part in range(2))
    return SplitLayer(layer.layer_norm1, SplitAttention(attention.num_heads, query, key))


def _third(fused: Any, part: int) -> Callable[[Tensor], Tensor]:
    width = fused.in_features
    rows = slice(part * width, (part + 1) * width)

    def project(states: Tensor) -> Tensor:
        return torch.nn.functional.linear(states, fused.weight[rows], None if fused.bias is None else fused.bias[rows])

    return project


@dataclass(frozen=True, slots=True)
class Blip2Image(ClipImage):
    """One image as BLIP-2's vision tower leaves it; implements `EncodedImage`."""

    @property
    def aligned(self) -> Tensor:
        """[N, E] patches of the last layer in CLIP space; CLIP's remaining layer looks at CLS too."""
        if not self._aligned:
            self._aligned.append(self.clip.project(self.states[-1])[1:])
        return self._aligned[0]
