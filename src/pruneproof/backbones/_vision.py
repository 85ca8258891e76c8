"""What every family with a CLIP vision tower shares: hidden states, the CLS row of attention, CLIP space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pruneproof.backbones.text_towers import ClipSpace
from pruneproof.errors import PruneProofError


def cls_attention(layer: Any, state: Tensor) -> Tensor:
    """Attention of CLS to every patch in one CLIP layer, mean over heads.

    Only the CLS row is computed, so the tower itself can run without materialised attention maps; the softmax runs over
    CLS and all patches, and CLS's attention to itself is then left out.

    Source: Theia-4869/FasterVLM `clip_encoder.py::feature_select`, `attentions[:, :, 0, 1:].mean(1)`.

    Args:
        layer: a transformers CLIP encoder layer.
        state: [B, 1 + N, D] the layer's input, CLS first.

    Returns:
        [B, N].
    """
    attention = layer.self_attn
    normed = layer.layer_norm1(state)
    batch, length, width = normed.shape
    heads = attention.num_heads
    query = attention.q_proj(normed[:, :1]).view(batch, 1, heads, width // heads).transpose(1, 2)
    key = attention.k_proj(normed).view(batch, length, heads, width // heads).transpose(1, 2)
    weights = (query @ key.transpose(-1, -2) * (width // heads) ** -0.5).float().softmax(dim=-1)
    mean: Tensor = weights[:, :, 0, 1:].mean(dim=1)
    return mean


@dataclass(frozen=True, slots=True)
class ClipImage:
    """One image as a CLIP vision tower leaves it; implements `EncodedImage`."""

    states: tuple[Tensor, ...]
    """Hidden states [1 + N, D]: the input of the first layer, then the output of every layer; CLS first."""
    features: Tensor
    """[N, D] what the connector receives of the patches."""
    unprunable: Tensor
    """[M, D] what it receives besides."""
    size: tuple[int, int]
    """Width and height of the picture in pixels."""
    layers: Any
    """The tower's layers."""
    clip: ClipSpace
    _aligned: list[Tensor] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Number of patches."""
        return len(self.features)

    @torch.inference_mode()
    def attention(self, layer: int) -> Tensor:
        """[N] CLS attention of a layer, counted from the end: -1 is the last."""
        if not -len(self.layers) <= layer <= -1:
            raise PruneProofError(
                f"attention_layer is {layer}, but the vision tower has {len(self.layers)} layers: "
                f"give -{len(self.layers)} to -1"
            )
        return cls_attention(self.layers[layer], self.states[layer - 1][None])[0]

    @property
    def aligned(self) -> Tensor:
        """[N, E] patches of the last layer in CLIP space, as in the ATP paper."""
        if not self._aligned:
            self._aligned.append(self.clip.project(self.states[-1][1:]))
        return self._aligned[0]

    def relevance(self, questions: Sequence[str], matched: bool = True) -> Tensor:
        """[Q, N] cosine of question and patch in CLIP space."""
        return self.clip.embed(questions, matched) @ self.aligned.T
