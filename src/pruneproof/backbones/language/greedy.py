"""Greedy decoding of several rows, whatever the model."""

from __future__ import annotations

from collections.abc import Callable, Collection

import torch
from torch import Tensor

Advance = Callable[[Tensor, Tensor], Tensor]
"""(which of the rows still generating go on [R] bool, their next tokens) -> logits of those that go on."""


def greedy(first: Tensor, eos: Collection[int], longest: int, advance: Advance) -> list[list[int]]:
    """Repeatedly take the likeliest token; a row that has ended is not computed any further.

    Args:
        first: [Q, vocabulary] logits at the first generated position.
        eos: tokens that end a row.
        longest: at least 1 new token.
        advance: computes the next logits.

    Returns:
        Q lists of ids, without the token that ended them.
    """
    tokens: list[list[int]] = [[] for _ in range(len(first))]
    rows, logits = list(range(len(first))), first
    for step in range(longest):
        chosen = logits.argmax(dim=-1)
        ids = chosen.tolist()
        goes = [token not in eos for token in ids]
        going = [(row, token) for row, token, on in zip(rows, ids, goes, strict=True) if on]
        for row, token in going:
            tokens[row].append(token)
        rows = [row for row, _ in going]
        if step + 1 == longest or not rows:
            break
        on = torch.tensor(goes, device=first.device)
        logits = advance(on, chosen[on])
    return tokens
