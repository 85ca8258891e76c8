"""Random pruning: the control that any claim about a selection rule has to beat.

It can act at the door of the method that it is the control of. Random choice inside the language model's deep layers
is as good as tuned methods (arXiv 2512.07580).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from pruneproof.errors import PruneProofError
from pruneproof.pruning import kept_count
from pruneproof.pruning._budgets import Keep
from pruneproof.pruning.protocol import (
    Door,
    Kept,
    LanguageLayer,
    Method,
    Narrows,
    Reduces,
    Selects,
    Texts,
    TowerLayer,
    VisualTokens,
)
from pruneproof.settings import Frozen


class Settings(Frozen):
    """Options of random pruning."""

    keep: Keep
    """Share of visual tokens kept, in (0, 1], or a published budget."""
    door: Literal["tower", "before_connector", "after_connector", "language"] = "before_connector"
    """Where it acts."""
    layer: Annotated[int, Field(ge=0)] | None = None
    """In the tower the layer after whose attention it acts, in the language model the layer before which, from 0; to be
    given at these two doors alone."""

    @model_validator(mode="after")
    def _layer_where_there_are_layers(self) -> Settings:
        if (self.layer is None) == (self.door in {"tower", "language"}):
            wanted = "needs a `layer`" if self.layer is None else "has no layers: leave out `layer`"
            raise ValueError(f"door {self.door!r} {wanted}")
        return self


def drawn(count: int, keep: float, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The numbers of a uniformly drawn set out of `count`, ascending."""
    return np.sort(rng.permutation(count)[: kept_count(keep, count)])


@dataclass(frozen=True, slots=True)
class Random(Selects):
    """Keeps a uniformly drawn set, the same for all questions on one picture, reworded ones and dialogues too."""

    settings: Settings
    title = "Random"
    kind = "control"

    @property
    def door(self) -> Door:
        """As its options say."""
        return self.settings.door

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """The share that is kept, rounded."""
        return (kept_count(self.settings.keep, count),) * layers

    def select(self, tokens: VisualTokens, texts: Texts, rng: np.random.Generator) -> list[Kept]:
        """Indices drawn without replacement."""
        import torch

        kept = torch.from_numpy(drawn(tokens.count, self.settings.keep, rng))
        return [Kept(kept.to(tokens.features.device))]


@dataclass(frozen=True, slots=True)
class RandomInTower(Reduces):
    """Keeps a uniformly drawn set from some layer of the vision tower on."""

    settings: Settings
    layer: int
    title = "Random in the tower"
    kind = "control"

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """The share that is kept, rounded."""
        return (kept_count(self.settings.keep, count),) * layers

    def reduce(self, layer: int, view: TowerLayer, rng: np.random.Generator) -> Kept | None:
        """Indices drawn without replacement.

        Raises:
            PruneProofError: if the tower has no such layer.
        """
        import torch

        _require_layer(self.layer, view.depth, "vision tower")
        if layer != self.layer:
            return None
        return Kept(torch.from_numpy(drawn(view.count, self.settings.keep, rng)).to(view.state.device))


@dataclass(frozen=True, slots=True)
class RandomInModel(Narrows):
    """Keeps a uniformly drawn set from some layer of the language model on."""

    settings: Settings
    layer: int
    title = "Random in the model"
    kind = "control"

    @property
    def per_question(self) -> bool:
        """The set is that of the picture."""
        return False

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """All tokens up to the layer, then the share that is kept, rounded."""
        kept = kept_count(self.settings.keep, count)
        return tuple(count if layer < self.layer else kept for layer in range(layers))

    def narrow(self, layer: int, view: LanguageLayer, rng: np.random.Generator) -> Kept | None:
        """Indices drawn without replacement.

        Raises:
            PruneProofError: if the language model has no such layer.
        """
        import torch

        _require_layer(self.layer, view.depth, "language model")
        if layer != self.layer:
            return None
        return Kept(torch.from_numpy(drawn(len(view.visual), self.settings.keep, rng)).to(view.visual.device))


def _require_layer(layer: int, depth: int, of: str) -> None:
    """Refuse a layer that never comes: nothing would be pruned, and nobody would notice."""
    if layer >= depth:
        raise PruneProofError(
            f"random pruning acts at layer {layer} of the {of}, which has {depth}: give at most {depth - 1}"
        )


def build(settings: Settings) -> Method:
    """Random pruning at a keep ratio."""
    if settings.layer is None:
        return Random(settings)
    return (RandomInTower if settings.door == "tower" else RandomInModel)(settings, settings.layer)
