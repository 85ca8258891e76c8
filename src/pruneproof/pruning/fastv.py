"""FastV (Chen et al., ECCV 2024): after a few layers of the language model, what its last token attends to stays.

Source: pkunlp-icler/FastV `src/FastV/llava-hf/transformers/src/transformers/models/llama/modeling_llama.py`
(`LlamaModel.fastv_forward`); the whole method is ported, with the key-value cache. The paper's text averages attention
over all queries; the code, and its author in issue 14, take the last token of the prompt. Positions keep their original
numbers. The official values are layer 2 or 3 and keep 0.5 or 0.25, for models of 32 and of 40 layers alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field, ValidationInfo, field_validator, model_validator

from pruneproof.pruning import kept_count, top_k
from pruneproof.pruning._budgets import as_share
from pruneproof.pruning._stages import at_depth, require_stages, spread
from pruneproof.pruning.protocol import Kept, LanguageLayer, Narrows
from pruneproof.settings import Frozen, Share


class Settings(Frozen):
    """Options of FastV."""

    layer: Annotated[int, Field(ge=1)] = 2
    """Layers that read all visual tokens, the attention being that of the last of them, in a model of `of` layers; in a
    model of another depth the same share of its own does."""
    of: Annotated[int, Field(ge=2)] = 32
    """Layers of the model that `layer` counts in: 40 for the official layer of a 13B model."""
    keep: Share
    """Share of visual tokens that go on after `layer`, in (0, 1]; not the mean over layers, which is larger. A
    published budget is that mean, and read as the share that comes to it in a model of `of` layers."""

    @field_validator("keep", mode="before")
    @classmethod
    def _mean_over_layers(cls, value: object, info: ValidationInfo) -> object:
        share: Any = as_share(value)
        layer, of = info.data.get("layer", 0), info.data.get("of", 0)
        if not isinstance(value, str) or layer >= of:  # reported with the layers
            return share
        left = (share * of - layer) / (of - layer)
        if left <= 0.0:
            raise ValueError(
                f"{layer} of {of} layers that read everything are more than that on average: lower `layer`"
            )
        return left

    @model_validator(mode="after")
    def _in_order(self) -> Settings:
        require_stages((self.layer,), (self.keep,), self.of)
        return self


@dataclass(frozen=True, slots=True)
class FastV(Narrows):
    """FastV at one layer."""

    settings: Settings
    title = "FastV"
    kind = "language"

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """All tokens up to the layer, then the share that is kept, rounded."""
        return spread(self._before(layers), (kept_count(self.settings.keep, count),), count, layers)

    def narrow(self, layer: int, view: LanguageLayer, rng: np.random.Generator) -> Kept | None:
        """The tokens that the prompt's last one attended to most, mean over heads."""
        if layer not in self._before(view.depth):
            return None
        attention = view.attention(view.text[-1:], previous=True)
        scores = attention[:, 0, view.visual].mean(dim=0)
        return Kept(top_k(scores, kept_count(self.settings.keep, view.start)))

    def _before(self, depth: int) -> tuple[int, ...]:
        """The layer that first reads fewer."""
        return at_depth((self.settings.layer,), self.settings.of, depth)


def build(settings: Settings) -> FastV:
    """FastV with its options."""
    return FastV(settings)
