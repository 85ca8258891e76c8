"""What a method gave, held to what its door asks for, before anything is computed with it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pruneproof.errors import MethodError
from pruneproof.pruning.protocol import Kept


def require_selections(kept: Any, questions: int, per_question: bool) -> list[Any]:
    """What `select` gave, if it is as many selections as were asked for.

    Args:
        kept: what it gave.
        questions: that were asked about the picture.
        per_question: whether each has one of its own.

    Raises:
        MethodError: saying what is wrong with it.
    """
    if not isinstance(kept, list | tuple):
        raise MethodError(f"gave {_short(kept)}: `select` must give a list of `Kept`")
    expected = questions if per_question else 1
    if len(kept) != expected:
        raise MethodError(
            f"gave {len(kept)} selections where {expected} were asked for: `per_question` and `select` must agree"
        )
    return list(kept)


def require_kept(kept: Any, count: int) -> Kept:
    """What a method gave for some tokens, if it can be that.

    Args:
        kept: what it gave.
        count: number N of tokens that it was given.

    Raises:
        MethodError: saying what is wrong with it.
    """
    if wrong := _wrong(kept, count):
        raise MethodError(f"gave {wrong}")
    selection: Kept = kept
    return selection


def _wrong(kept: Any, count: int) -> str:
    if not isinstance(kept, Kept):
        return f"{_short(kept)}: it must give a `Kept`"
    index, weights = kept.index, kept.weights
    if not isinstance(index, Tensor) or index.dtype != torch.int64 or index.ndim != 1 or not len(index):
        return f"`Kept` with the index {_described(index)}: it must be a tensor of int64 with one dimension, not empty"
    least = 0 if weights is None else -1
    lowest, highest = (int(end) for end in torch.aminmax(index))
    if lowest < least or highest >= count:
        wrong = lowest if lowest < least else highest
        return f"`Kept` with the index {wrong}: of {count} tokens, it must be from {least} to {count - 1}"
    if weights is None:
        return ""
    if not isinstance(weights, Tensor) or weights.shape != (len(index), count) or not weights.is_floating_point():
        shape = (len(index), count)
        return f"`Kept` with the weights {_described(weights)}: it must be a float tensor of shape {shape}"
    return "" if bool(torch.isfinite(weights).all()) else "`Kept` with weights that are not finite"


def _described(value: Any) -> str:
    return f"{value.dtype} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else _short(value)


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
