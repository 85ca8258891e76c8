"""FasterVLM (Zhang et al., arXiv 2412.01818, version 1): the patches that CLS attends to most.

Source: Theia-4869/FasterVLM `llava/model/multimodal_encoder/clip_encoder.py::feature_select`,
`llava/model/llava_arch.py::encode_images`; the whole method is ported. For LLaVA-NeXT the official code gives each crop
the same budget; here the crops share one. The published shares are 0.25, 0.1 and 0.05.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pruneproof.pruning import kept_count, top_k
from pruneproof.pruning._budgets import Keep
from pruneproof.pruning.protocol import Kept, Selects, Signals, Texts, VisualTokens
from pruneproof.settings import Frozen


class Settings(Frozen):
    """Options of FasterVLM."""

    keep: Keep
    """Share of visual tokens kept, in (0, 1], or a published budget."""
    layer: int = -2
    """Layer of the vision tower whose attention counts: the one whose output LLaVA's connector reads."""


@dataclass(frozen=True, slots=True)
class FasterVlm(Selects):
    """The same as ATP with alpha 0 and attention layer -2."""

    settings: Settings
    title = "FasterVLM"
    kind = "attention"
    door = "before_connector"

    @property
    def signals(self) -> Signals:
        """CLS attention."""
        return Signals(cls_attention=(self.settings.layer,))

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """The share that is kept, rounded."""
        return (kept_count(self.settings.keep, count),) * layers

    def select(self, tokens: VisualTokens, texts: Texts, rng: np.random.Generator) -> list[Kept]:
        """The highest attention."""
        return [Kept(top_k(tokens.cls_attention(self.settings.layer), kept_count(self.settings.keep, tokens.count)))]


def build(settings: Settings) -> FasterVlm:
    """FasterVLM with its options."""
    return FasterVlm(settings)
