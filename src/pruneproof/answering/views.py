"""What a method is shown at the doors around the connector: the questions, and the tokens after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pruneproof.answering.declared import undeclared
from pruneproof.backbones import Backbone
from pruneproof.backbones.clip.text_towers import ClipSpace
from pruneproof.errors import MethodError
from pruneproof.pruning.protocol import Signals, VisualTokens


@dataclass(frozen=True, slots=True)
class Questions:
    """The questions on one picture; implements `Texts`."""

    questions: tuple[str, ...]
    backbone: Backbone
    signals: Signals
    """What the method declares."""

    @property
    def in_clip(self) -> Tensor:
        """[Q, E]."""
        return self._clip.embed(self.questions, self.signals.text_tower)

    @property
    def projected(self) -> Tensor:
        """[Q, E]."""
        return self._clip.embed(self.questions, self.signals.text_tower, unit=False)

    @property
    def _clip(self) -> ClipSpace:
        clip = self.backbone.clip
        if clip is None or not (self.signals.aligned or self.signals.projected):
            lacking = "" if clip is not None else self.backbone.lacking.get("aligned", "there is no CLIP space")
            raise undeclared("questions in CLIP space", "aligned=(-1,)", lacking)
        return clip

    def words(self, index: int) -> Tensor:
        """[W, D]."""
        return self.backbone.words(self.questions[index])

    def embed(self, words: Sequence[str]) -> Tensor:
        """[W, D]."""
        return torch.cat([self.backbone.words(word) for word in words])


@dataclass(frozen=True, slots=True, eq=False)
class ConnectedTokens:
    """The tokens of one picture after the connector; implements `VisualTokens`."""

    features: Tensor
    """[N, W]."""
    patches: VisualTokens | None
    """What the connector read, where it passes patches on one by one."""
    size: tuple[int, int]

    @property
    def count(self) -> int:
        """N."""
        return len(self.features)

    @property
    def start(self) -> int:
        """N."""
        return self.count

    @property
    def cls(self) -> Tensor:
        """[0, W]."""
        return self.features[:0]

    @property
    def origin(self) -> Tensor:
        """[N]."""
        none = torch.full((self.count,), -1, device=self.features.device)
        return none if self.patches is None else self.patches.origin

    @property
    def places(self) -> Tensor:
        """[N, 3], or [0, 3]."""
        return self._patches.places if self.patches else self.origin.new_zeros(0, 3)

    @property
    def tower_features(self) -> Tensor:
        """[N, D]."""
        return self._patches.tower_features

    def cls_attention(self, layer: int) -> Tensor:
        """[N]."""
        return self._patches.cls_attention(layer)

    def joined_attention(self, layer: int) -> Tensor:
        """[N]."""
        return self._patches.joined_attention(layer)

    def received_attention(self, layer: int) -> Tensor:
        """[N]."""
        return self._patches.received_attention(layer)

    def keys(self, layer: int) -> Tensor:
        """[H, N, W]."""
        return self._patches.keys(layer)

    def aligned(self, layer: int) -> Tensor:
        """[N, E]."""
        return self._patches.aligned(layer)

    def projected(self, layer: int) -> Tensor:
        """[N, E]."""
        return self._patches.projected(layer)

    @property
    def _patches(self) -> VisualTokens:
        if self.patches is None:
            raise MethodError("looks at patches after a connector that mixes them: let it act before the connector")
        return self.patches
