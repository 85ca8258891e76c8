"""Visual-token pruning: one module per method, each a pure function over tensors with one small protocol for all.

A member exposes `Settings`, a frozen pydantic model of its options, and `build(settings) -> Pruner`. Members import
torch only inside functions or for type checking, so that options can be validated without it.

A pruner sits at one of four doors: inside the vision tower, before the connector, after the connector, or inside the
language model. This protocol is the door before the connector; each of the others will be its own protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pruneproof import registry
from pruneproof.settings import MethodSettings

if TYPE_CHECKING:
    from torch import Tensor


class VisualTokens(Protocol):
    """What a method may look at: the patch tokens of one image, and signals that are computed when asked for."""

    @property
    def count(self) -> int:
        """Number N of visual tokens, CLS not among them."""
        ...

    @property
    def features(self) -> Tensor:
        """[N, D] patch features as the connector receives them."""
        ...

    def attention(self, layer: int) -> Tensor:
        """[N] attention of CLS to each patch in a layer of the vision tower (-1 is the last), mean over heads."""
        ...

    def relevance(self, questions: Sequence[str], matched: bool = True) -> Tensor:
        """[Q, N] cosine similarity of each patch and each question in CLIP space; not `matched`: see `Backbone`."""
        ...


class Pruner(Protocol):
    """A method at the door before the connector."""

    @property
    def question_dependent(self) -> bool:
        """Whether different questions on one image may keep different tokens."""
        ...

    @property
    def attention_layers(self) -> tuple[int, ...]:
        """Layers whose CLS attention it looks at, from the end."""
        ...

    def select(self, tokens: VisualTokens, questions: Sequence[str], rng: np.random.Generator) -> Tensor:
        """Indices of the kept tokens, ascending.

        Args:
            tokens: the image.
            questions: Q questions on it.
            rng: a stream that depends on study, image and what was done to the picture alone.

        Returns:
            int64 [Q, K], or [1, K] if the selection does not depend on the question.
        """
        ...


def load(settings: MethodSettings) -> Pruner:
    """The method of some settings, which needs no torch until it selects.

    Raises:
        PruneProofError: if there is no such method.
    """
    module = registry.load_module("pruneproof.pruning", settings.method, "pruning method")
    pruner: Pruner = module.build(module.Settings.model_validate(settings.options))
    return pruner


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
