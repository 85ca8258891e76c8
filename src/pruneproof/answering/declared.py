"""A picture's tokens as a method may look at them: what its `signals` do not name is refused, on every family alike.

Without this an undeclared signal would be there wherever something else asked for it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from pruneproof.errors import MethodError
from pruneproof.pruning.protocol import Signals, VisualTokens


@dataclass(frozen=True, slots=True, eq=False)
class DeclaredTokens:
    """Some tokens; implements `VisualTokens`, and raises `MethodError` for what was not declared."""

    tokens: VisualTokens
    signals: Signals
    """What the method declares."""
    lacking: Mapping[str, str]
    """As of `Backbone`."""

    @property
    def count(self) -> int:
        """N."""
        return self.tokens.count

    @property
    def start(self) -> int:
        """Of the unpruned model."""
        return self.tokens.start

    @property
    def size(self) -> tuple[int, int]:
        """Of the picture."""
        return self.tokens.size

    @property
    def origin(self) -> Tensor:
        """[N]."""
        return self.tokens.origin

    @property
    def features(self) -> Tensor:
        """[N, D]."""
        return self.tokens.features

    @property
    def cls(self) -> Tensor:
        """[1, D], or [0, D]."""
        return self.tokens.cls

    @property
    def places(self) -> Tensor:
        """[N, 3]."""
        self._require_patches("places")
        return self.tokens.places

    @property
    def tower_features(self) -> Tensor:
        """[N, D]."""
        self._require_patches("tower_features")
        return self.tokens.tower_features

    def cls_attention(self, layer: int) -> Tensor:
        """[N]."""
        self._require("cls_attention", layer)
        return self.tokens.cls_attention(layer)

    def joined_attention(self, layer: int) -> Tensor:
        """[N]."""
        self._require("joined_attention", layer)
        return self.tokens.joined_attention(layer)

    def received_attention(self, layer: int) -> Tensor:
        """[N]."""
        self._require("received_attention", layer)
        return self.tokens.received_attention(layer)

    def keys(self, layer: int) -> Tensor:
        """[H, N, W]."""
        self._require("keys", layer)
        return self.tokens.keys(layer)

    def aligned(self, layer: int) -> Tensor:
        """[N, E]."""
        self._require("aligned", layer)
        return self.tokens.aligned(layer)

    def projected(self, layer: int) -> Tensor:
        """[N, E]."""
        self._require("projected", layer)
        return self.tokens.projected(layer)

    def _require(self, name: str, layer: int) -> None:
        if layer not in self.signals.by_name()[name]:
            raise undeclared(f"{name}({layer})", f"{name}=({layer},)", self.lacking.get(name, ""))

    def _require_patches(self, name: str) -> None:
        if not self.signals.patches:
            raise undeclared(name, "patches=True", "")


def undeclared(what: str, how: str, lacking: str) -> MethodError:
    """What to say of something that a method looks at and its `signals` do not name.

    Args:
        what: it looks at.
        how: it is declared.
        lacking: why this backbone does not have it at all; empty if it does.
    """
    told = f"looks at {what} and does not say so in its `signals`"
    if not lacking:
        return MethodError(f"{told}: add `{how}`")
    return MethodError(
        f"{told}, and this backbone does not have it: {lacking}; add `{how}`, so that the method is refused before a "
        "run, and give the backbone a list `methods` without it"
    )
