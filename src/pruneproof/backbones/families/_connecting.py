"""What the families share whose connector reads CLS and the kept patches as one set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from pruneproof.backbones import Narrowing
from pruneproof.backbones.language.generation import even_parts
from pruneproof.errors import PruneProofError
from pruneproof.pruning.protocol import Kept, VisualTokens


def with_cls(tokens: VisualTokens, kept: Kept) -> Tensor:
    """[1 + K, D] CLS and the kept patches."""
    return torch.cat([tokens.cls, kept.apply(tokens.features)])


def by_length(rows: Sequence[Tensor], work: Callable[[Tensor], Tensor], most: int) -> list[Tensor]:
    """Some work on rows of any lengths, as few and as even batches of one length as `most` rows allow.

    Args:
        rows: [L, D] each.
        work: [B, L, D] to [B, ...].
        most: rows at once.

    Returns:
        [...] for each row, in their order.
    """
    alike: dict[int, list[int]] = {}
    for number, row in enumerate(rows):
        alike.setdefault(len(row), []).append(number)
    found: dict[int, Tensor] = {}
    for numbers in alike.values():
        for part in even_parts(len(numbers), most):
            some = numbers[part]
            found |= zip(some, work(torch.stack([rows[i] for i in some])), strict=True)
    return [found[i] for i in range(len(rows))]


def require_whole(narrowing: Narrowing | None, closed: Mapping[str, str]) -> None:
    """Refuse a method inside the language model, which validation does before."""
    if narrowing is not None:
        raise PruneProofError(f"no method can act inside this language model: {closed['language']}")
