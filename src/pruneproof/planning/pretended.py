"""Pictures and questions of random numbers, of a backbone's shape: what a method does with them is what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pruneproof.planning.shapes import Shape

_WORDS = 6
"""Of a question, as the language model embeds it."""


@dataclass(frozen=True, slots=True, eq=False)
class PretendedTokens:
    """Implements `VisualTokens`."""

    shape: Shape
    width: int
    """Of a token at the method's door."""

    @property
    def count(self) -> int:
        """All of them."""
        return self.shape.tokens

    @property
    def start(self) -> int:
        """All of them."""
        return self.count

    @property
    def size(self) -> tuple[int, int]:
        """As the tower reads it."""
        return (self.shape.pixels,) * 2

    @property
    def origin(self) -> Tensor:
        """[N]."""
        return torch.arange(self.count)

    @property
    def features(self) -> Tensor:
        """[N, D]."""
        return _random(self.count, self.width)

    @property
    def cls(self) -> Tensor:
        """[1, D]."""
        return _random(1, self.width)

    @property
    def tower_features(self) -> Tensor:
        """[N, D]."""
        return _random(self.count, self.shape.width)

    @property
    def places(self) -> Tensor:
        """[N, 3] row by row, crop by crop."""
        grids = (
            torch.cartesian_prod(torch.tensor([number]), torch.arange(rows), torch.arange(columns))
            for number, (rows, columns) in enumerate(self.shape.grids)
        )
        return torch.cat(list(grids))

    def cls_attention(self, layer: int) -> Tensor:
        """[N]."""
        return _random(self.count).softmax(dim=0)

    joined_attention = received_attention = cls_attention

    def keys(self, layer: int) -> Tensor:
        """[H, N, W]."""
        width = self.shape.vision.hidden_size
        heads = heads_of(self.shape.vision)
        return _random(heads, self.count, width // heads)

    def aligned(self, layer: int) -> Tensor:
        """[N, E]."""
        return torch.nn.functional.normalize(self.projected(layer), dim=-1)

    def projected(self, layer: int) -> Tensor:
        """[N, E]."""
        return _random(self.count, self.shape.space)


@dataclass(frozen=True, slots=True, eq=False)
class PretendedTexts:
    """Implements `Texts`."""

    shape: Shape
    questions: tuple[str, ...]
    looked: list[str] = field(default_factory=list)
    """Says so each time that the text tower is asked."""

    @property
    def in_clip(self) -> Tensor:
        """[Q, E]."""
        return torch.nn.functional.normalize(self.projected, dim=-1)

    @property
    def projected(self) -> Tensor:
        """[Q, E]."""
        self.looked.append("text tower")
        return _random(len(self.questions), self.shape.space)

    def words(self, index: int) -> Tensor:
        """[W, D]."""
        return _random(_WORDS, self.shape.text.hidden_size)

    def embed(self, words: Sequence[str]) -> Tensor:
        """[W, D]."""
        return _random(len(words), self.shape.text.hidden_size)


def heads_of(config: Any) -> int:
    """Heads of a transformer; where its published shape does not say, they are 64 wide."""
    named = getattr(config, "num_attention_heads", None) or getattr(config, "num_heads", None)
    return int(named or config.hidden_size // 64)


def _random(*sizes: int) -> Tensor:
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(0))
