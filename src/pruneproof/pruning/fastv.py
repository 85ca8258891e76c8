"""FastV (Chen et al., ECCV 2024): after a few layers of the language model, what its last token attends to stays.

Source: pkunlp-icler/FastV `src/FastV/llava-hf/transformers/src/transformers/models/llama/modeling_llama.py`
(`LlamaModel.fastv_forward`); the whole method is ported, with the key-value cache. The paper's text averages attention
over all queries; the code, and its author in issue 14, take the last token of the prompt. Positions keep their original
numbers. The official values are layer 2 or 3 and keep 0.5 or 0.25.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from pruneproof.pruning import kept_count, top_k
from pruneproof.pruning.protocol import Kept, LanguageLayer, Narrows
from pruneproof.settings import Frozen, Share


class Settings(Frozen):
    """Options of FastV."""

    keep: Share
    """Share of visual tokens that go on after `layer`, in (0, 1]; not the mean over layers, which is larger."""
    layer: Annotated[int, Field(ge=1)] = 2
    """Layers that read all visual tokens; the attention is that of the last of them."""


@dataclass(frozen=True, slots=True)
class FastV(Narrows):
    """FastV at one layer."""

    settings: Settings
    title = "FastV"
    kind = "language"

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """All tokens up to the layer, then the share that is kept, rounded."""
        kept = kept_count(self.settings.keep, count)
        return tuple(count if layer < self.settings.layer else kept for layer in range(layers))

    def narrow(self, layer: int, view: LanguageLayer, rng: np.random.Generator) -> Kept | None:
        """The tokens that the prompt's last one attended to most, mean over heads."""
        if layer != self.settings.layer:
            return None
        attention = view.attention(view.text[-1:], previous=True)
        scores = attention[:, 0, view.visual].mean(dim=0)
        return Kept(top_k(scores, kept_count(self.settings.keep, view.start)))


def build(settings: Settings) -> FastV:
    """FastV with its options."""
    return FastV(settings)
