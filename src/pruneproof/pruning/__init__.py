"""Visual-token pruning: one module per method, each a pure function over tensors; `protocol` says how one is written.

A member exposes `Settings`, a frozen pydantic model of its options, and `build(settings) -> Method`. Members import
torch only inside functions or for type checking, so that options can be validated, and figures labelled, without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pruneproof import registry
from pruneproof.pruning.protocol import Method
from pruneproof.settings import MethodSettings

if TYPE_CHECKING:
    from torch import Tensor

REFERENCE_TOKENS, REFERENCE_LAYERS = 100_000, 32
"""A model by which methods are named: so many tokens that no share is rounded, and LLaVA-1.5-7B's layers."""


def load(settings: MethodSettings) -> Method:
    """The method of some settings, which needs no torch until it acts.

    Raises:
        PruneProofError: if there is no such method.
    """
    module = registry.load_module("pruneproof.pruning", settings.method, "pruning method")
    method: Method = module.build(module.Settings.model_validate(settings.options))
    return method


def share(method: Method) -> float | None:
    """Share of visual tokens that are left after a method's last step, by which it is named: 0.25 in `ATP 25%`.

    Returns:
        None for a method that keeps every token, and for one whose budget depends on the picture.
    """
    budget = method.budget(REFERENCE_TOKENS, REFERENCE_LAYERS)
    return None if budget is None or method.kind == "full" else budget[-1] / REFERENCE_TOKENS


def mean_share(method: Method, layers: int) -> float | None:
    """Share of visual tokens that the layers of a language model read on average, by which methods are compared.

    Args:
        method: any.
        layers: of the language model.

    Returns:
        None for a method whose budget depends on the picture.
    """
    budget = method.budget(REFERENCE_TOKENS, layers)
    return None if budget is None else sum(budget) / len(budget) / REFERENCE_TOKENS


def kept_count(keep: float, count: int) -> int:
    """Tokens kept of `count`: rounded half up, at least one; 0.6 of 256 is 154."""
    return max(1, int(keep * count + 0.5))


def top_k(scores: Tensor, k: int) -> Tensor:
    """Indices of the k largest scores of each row, ascending; among equal scores the first wins.

    Args:
        scores: [..., N].
        k: 1 to N.

    Returns:
        int64 [..., k].
    """
    order = scores.sort(dim=-1, descending=True, stable=True).indices
    return order[..., :k].sort(dim=-1).values
