"""A vision tower that is read layer by layer: with fewer patches from some layer on, or from a smaller picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pruneproof.backbones import Reduction
from pruneproof.backbones.clip.vision import by_heads
from pruneproof.pruning.protocol import Kept, VisualTokens


@dataclass(frozen=True, slots=True)
class Tower:
    """A vision transformer with CLS, in parts."""

    embed: Callable[[Tensor], Tensor]
    """[B, 3, P, P] pixels of any side -> [B, 1 + N, D] the input of the first layer, positions interpolated."""
    layers: Sequence[Any]
    """With the parts of transformers' `CLIPEncoderLayer`: those whose output the connector needs, and no later ones."""
    finish: Callable[[Tensor], Tensor]
    """[B, T, D] output of the last one -> what the connector receives."""
    patch: int
    """Side of a patch in pixels."""


@dataclass(frozen=True)
class LayerPatches:
    """One picture's patches in one layer; implements `TowerLayer`."""

    depth: int
    start: int
    attended: Tensor
    """[1 + N, D] after attention and residual, CLS first."""
    query: Tensor
    """[H, W] of CLS."""
    all_keys: Tensor
    """[H, 1 + N, W]."""
    sizes: Tensor
    bias: Tensor | None

    @property
    def count(self) -> int:
        """Patches that are left."""
        return len(self.attended) - 1

    @property
    def state(self) -> Tensor:
        """[N, D] patches after attention and residual."""
        return self.attended[1:]

    @property
    def keys(self) -> Tensor:
        """[H, N, W] of the patches."""
        return self.all_keys[:, 1:]

    @cached_property
    def cls_attention(self) -> Tensor:
        """[N] as the layer computed it."""
        scores = (self.query[:, None] @ self.all_keys.transpose(-1, -2) * self.query.shape[-1] ** -0.5)[:, 0].float()
        weights = (scores if self.bias is None else scores + self.bias).softmax(dim=-1)
        mean: Tensor = weights[:, 1:].mean(dim=0)
        return mean


@dataclass(frozen=True, slots=True)
class ReducedImage:
    """One image after a tower that a method has acted in; implements `VisualTokens`, without signals of the tower."""

    features: Tensor
    """[K, D]."""
    cls: Tensor
    """[1, D]."""
    size: tuple[int, int]
    origin: Tensor
    """[K]."""
    start: int

    @property
    def count(self) -> int:
        """Tokens that are left."""
        return len(self.features)

    @property
    def tower_features(self) -> Tensor:
        """[K, D] what the connector receives."""
        return self.features

    @property
    def places(self) -> Tensor:
        """[0, 3]: merged tokens have none."""
        return self.origin.new_zeros(0, 3)

    def cls_attention(self, layer: int) -> Tensor:
        """None of a tower that was cut short."""
        raise NotImplementedError("a reduced tower's signals are for the method that reduces it")

    joined_attention = received_attention = keys = aligned = projected = cls_attention


@torch.inference_mode()
def read_reduced(
    tower: Tower,
    pixels: Tensor,
    sizes: Sequence[tuple[int, int]],
    side: Callable[[int], int] | None,
    reduction: Reduction | None,
) -> list[VisualTokens]:
    """Run the tower on each picture alone, since each may keep its own number of patches.

    Args:
        tower: the tower.
        pixels: [B, 3, P, P] at full resolution.
        sizes: width and height of the pictures.
        side: as of `Backbone.encode`.
        reduction: as of `Backbone.encode`.
    """
    full = pixels.shape[-1] // tower.patch
    if side is not None:
        shrunk = side(full) * tower.patch
        pixels = torch.nn.functional.interpolate(pixels.float(), (shrunk, shrunk), mode="bicubic", antialias=True)
    found: list[VisualTokens] = []
    for number, (square, size) in enumerate(zip(pixels, sizes, strict=True)):
        state, origin = _through(tower, tower.embed(square[None])[0], number, reduction)
        if side is not None:
            origin = torch.full_like(origin, -1)
        found.append(ReducedImage(state[1:], state[:1], size, origin, full**2))
    return found


def _through(tower: Tower, state: Tensor, number: int, reduction: Reduction | None) -> tuple[Tensor, Tensor]:
    """[1 + K, D] what the connector receives of a picture, and [K] where its tokens come from.

    Args:
        tower: the tower.
        state: [1 + N, D] input of the first layer.
        number: of the picture.
        reduction: what is done to it.
    """
    start = len(state) - 1
    origin = torch.arange(start, device=state.device)
    sizes = torch.ones(start, device=state.device)
    for at, layer in enumerate(tower.layers):
        proportional = reduction is not None and reduction.proportional and len(origin) < start
        bias = torch.cat([sizes.new_zeros(1), sizes.log()]) if proportional else None
        state, query, keys = _attend(layer, state, bias)
        view = LayerPatches(len(tower.layers), start, state, query, keys, sizes, bias)
        kept = reduction.decide(number, at, view) if reduction is not None else None
        if kept is not None:
            state = torch.cat([state[:1], kept.apply(state[1:])])
            origin, sizes = _origin(kept, origin), _sizes(kept, sizes)
        state = state + layer.mlp(layer.layer_norm2(state[None]))[0]
    order = torch.where(origin < 0, start, origin).argsort(stable=True)
    state = torch.cat([state[:1], state[1:][order]])
    return tower.finish(state[None])[0], origin[order]


def _attend(layer: Any, state: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Attention and residual of a layer [T, D], the query of CLS [H, W] and all keys [H, T, W].

    Source: transformers `CLIPAttention.forward`; the bias is facebookresearch/ToMe `tome/patch/timm.py::ToMeAttention`.
    """
    attention = layer.self_attn
    normed = layer.layer_norm1(state[None])
    query, key, value = (
        by_heads(part(normed), attention.num_heads) for part in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    mask = None if bias is None else bias.to(query.dtype)[None, None, None]
    mixed = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    joined = attention.out_proj(mixed.transpose(1, 2).reshape(normed.shape))
    return state + joined[0], query[0, :, 0], key[0]


def _origin(kept: Kept, origin: Tensor) -> Tensor:
    return torch.where(kept.index < 0, -1, origin[kept.index.clamp(min=0)])


def _sizes(kept: Kept, sizes: Tensor) -> Tensor:
    """Patches that each kept token is made of: all that have a share in it."""
    return sizes[kept.index] if kept.weights is None else (kept.weights != 0).to(sizes.dtype) @ sizes
