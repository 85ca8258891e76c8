"""Prompts inside the language model, and which of them begin alike."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class WholePrompt:
    """One prompt as the language model's first layer reads it."""

    number: int
    """Of the question."""
    embedded: Tensor
    """[T, D]."""
    visual: Tensor
    """int64 [N] places of the visual tokens, ascending."""
    after: int
    """Tokens after the image."""
    beginning: Hashable = None
    """Equal for prompts that are the same up to the end of the image; None for one that is like no other."""
    places: Tensor | None = None
    """int64 [T, A] positions of its tokens on A axes; None for one axis, on which they are numbered from 0."""
    next_place: int | None = None
    """Position of the token that follows, the same on all axes; None with `places`: T."""
    deep: tuple[Tensor, ...] = ()
    """[N, D] each: what the first layers, one by one, add to the visual tokens that leave them (DeepStack)."""

    @property
    def numbered(self) -> Tensor:
        """int64 [T] or [T, A] positions of its tokens."""
        return torch.arange(len(self.embedded), device=self.embedded.device) if self.places is None else self.places

    @property
    def following(self) -> int:
        """Position of the token that follows."""
        return len(self.embedded) if self.next_place is None else self.next_place

    @property
    def start(self) -> int:
        """Tokens up to the end of the image."""
        return len(self.embedded) - self.after


@dataclass(frozen=True, slots=True, eq=False)
class Alike:
    """Prompts of a batch that begin alike."""

    group: Tensor
    """int64 [B] the beginning that each has."""
    first: tuple[int, ...]
    """Of each beginning, a prompt that has it."""
    start: int
    """Tokens of all beginnings."""


def alike(prompts: Sequence[WholePrompt]) -> Alike:
    """Which prompts begin alike; none do if some beginnings are longer than others."""
    if len({prompt.start for prompt in prompts}) > 1:
        keys: list[Hashable] = list(range(len(prompts)))
    else:
        keys = [i if prompt.beginning is None else (prompt.beginning,) for i, prompt in enumerate(prompts)]
    first = {key: i for i, key in reversed(list(enumerate(keys)))}
    order = {key: number for number, key in enumerate(first)}
    group = torch.tensor([order[key] for key in keys], device=prompts[0].embedded.device)
    return Alike(group, tuple(first.values()), prompts[0].start)
