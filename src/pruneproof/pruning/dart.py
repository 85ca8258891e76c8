"""DART (Wen et al., EMNLP 2025, arXiv 2502.11494): what is least like a few pivots stays; importance is not asked for.

Source: ZichenWen1/DART `get_retained_image_token`, as later projects carry it (the repository itself could not be had;
its LLaVA code is restated in several, and adapted in ModelTC/LightCompress `token_reduction/dart.py`).

Before layer 2 the four visual tokens and the four tokens of the text after the image whose keys in the layer before are
largest (sum of absolute values, all heads, rotary positions applied) become pivots. One after the other, each pivot
adds the tokens that are left whose state has the lowest cosine with its own: an eighth of the number asked for, cut
off. The pivots in the picture stay too, so that 128 of 576 are 132. Positions keep their original numbers. Pivots take
their turns in the order of a Python set of their places in the prompt, as in the official code; it depends on nothing
else.

States are compared after the language model's final norm. The official code fails if there are fewer tokens than it
asks for; here all are kept then, and if the text has fewer tokens than pivots, those that it has share out the same
number. Not ported: random pivots.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field, model_validator

from pruneproof.pruning import kept_count
from pruneproof.pruning._budgets import Keep
from pruneproof.pruning._stages import at_depth, require_stages, spread
from pruneproof.pruning.protocol import Kept, LanguageLayer, Narrows
from pruneproof.settings import Frozen

if TYPE_CHECKING:
    from torch import Tensor


class Settings(Frozen):
    """Options of DART."""

    keep: Keep
    """Share of visual tokens that all pivots together add, in (0, 1], or a published budget; the official 128 of 576 is
    `llava15_128`."""
    layer: Annotated[int, Field(ge=1)] = 2
    """The first layer, from 0, that reads fewer tokens, in a model of `of` layers; a model of another depth drops them
    at the same share of its own."""
    of: Annotated[int, Field(ge=2)] = 32
    """Layers of the model that `layer` counts in."""
    image_pivots: Annotated[int, Field(ge=1)] = 4
    """Pivots among the visual tokens; they are kept."""
    text_pivots: Annotated[int, Field(ge=0)] = 4
    """Pivots in the text after the image."""

    @model_validator(mode="after")
    def _in_order(self) -> Settings:
        require_stages((self.layer,), (self.keep,), self.of)
        return self


def largest(keys: Tensor, places: Tensor, count: int) -> list[int]:
    """Places of the largest keys, first the largest; among equal ones the first wins.

    Args:
        keys: [G, T, W] of all tokens.
        places: int64 [P] those to choose from.
        count: at most so many.
    """
    norms = keys.float().abs().sum(dim=(0, 2))[places]
    found: list[int] = places[norms.sort(descending=True, stable=True).indices[:count]].tolist()
    return found


def least_alike(states: Tensor, pivots: list[int], candidates: Tensor, count: int) -> Tensor:
    """int64 [count] the places that pivots choose in turn, each those of the lowest cosine that are left.

    Args:
        states: [T, D].
        pivots: places, in the order of their turns; the first ones add one more if `count` cannot be shared out evenly.
        candidates: int64 [C] places to choose from, ascending.
        count: 0 to C.
    """
    import torch

    unit = torch.nn.functional.normalize(states.float(), dim=-1)
    chosen = candidates[:0]
    for turn, pivot in enumerate(pivots):
        share = count // len(pivots) + (turn < count % len(pivots))
        order = (unit[candidates] @ unit[pivot]).sort(stable=True).indices
        chosen = torch.cat([chosen, candidates[order[:share]]])
        candidates = candidates[order[share:].sort().values]
    return chosen


@dataclass(frozen=True, slots=True)
class Dart(Narrows):
    """DART at one layer."""

    settings: Settings
    title = "DART"
    kind = "diversity"

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """The pivots in the picture, and what all pivots add."""
        before = at_depth((self.settings.layer,), self.settings.of, layers)
        return spread(before, (self._left(count),), count, layers)

    def narrow(self, layer: int, view: LanguageLayer, rng: np.random.Generator) -> Kept | None:
        """The pivots in the picture, and the tokens least like any pivot."""
        import torch

        chosen = self.settings
        left = self._left(view.start)
        if layer not in at_depth((chosen.layer,), chosen.of, view.depth) or left >= len(view.visual):
            return None
        keys = view.keys(previous=True)
        in_image = largest(keys, view.visual, chosen.image_pivots)
        # The order of the official code, which iterates a set of them.
        pivots = list({*in_image, *largest(keys, view.text, chosen.text_pivots)})
        kept = torch.tensor(in_image, device=view.visual.device)
        others = view.visual[~torch.isin(view.visual, kept)]
        added = least_alike(view.normed, pivots, others, left - len(in_image))
        return Kept(torch.isin(view.visual, torch.cat([kept, added])).nonzero()[:, 0])

    def _left(self, count: int) -> int:
        chosen = self.settings
        asked, pivots = kept_count(chosen.keep, count), chosen.image_pivots + chosen.text_pivots
        return count if asked == count else min(count, chosen.image_pivots + asked // pivots * pivots)


def build(settings: Settings) -> Dart:
    """DART with its options."""
    return Dart(settings)
