"""A made-up layer of a language model, for the methods inside one; implements `LanguageLayer`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class FakeLayer:
    """T tokens: a prefix, N visual ones, S after them, with attention and keys drawn at random."""

    depth: int
    start: int
    state: Tensor
    visual: Tensor
    text: Tensor
    embedded_visual: Tensor
    embedded_text: Tensor
    maps: tuple[Tensor, Tensor]
    """[H, T, T] causal attention, after the softmax, of this layer and of the one before."""
    key: tuple[Tensor, Tensor]
    """[G, T, W] the same."""
    channels: Tensor
    """[D] weight of the norm that follows the last layer."""
    weights: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def normed(self) -> Tensor:
        return torch.nn.functional.rms_norm(self.state, self.state.shape[-1:]) * self.channels

    def attention(self, rows: Tensor, previous: bool = False) -> Tensor:
        return self.maps[previous][:, rows]

    def keys(self, previous: bool = False) -> Tensor:
        return self.key[previous]


def fake_layer(
    count: int,
    *,
    seed: int = 0,
    prefix: int = 3,
    text: int = 5,
    depth: int = 32,
    heads: int = 2,
    width: int = 8,
    levels: int = 0,
    start: int | None = None,
) -> FakeLayer:
    """A layer with `count` visual tokens left of `start`; with few `levels`, many scores and states are equal."""
    rng = torch.Generator().manual_seed(seed)
    first = count if start is None else start
    total = prefix + count + text

    def draw(*shape: int) -> Tensor:
        if levels:
            return torch.randint(levels, shape, generator=rng).float()
        return torch.randn(*shape, generator=rng)

    def causal() -> Tensor:
        later = torch.ones(total, total, dtype=torch.bool).triu(1)
        return draw(heads, total, total).masked_fill(later, float("-inf")).softmax(dim=-1)

    return FakeLayer(
        depth,
        first,
        draw(total, width),
        torch.arange(prefix, prefix + count),
        torch.arange(prefix + count, total),
        draw(first, width),
        draw(text, width),
        (causal(), causal()),
        (draw(heads, total, width), draw(heads, total, width)),
        0.2 + torch.rand(width, generator=rng),
    )
