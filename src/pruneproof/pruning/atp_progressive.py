"""Adaptive Token Pruning as its abstract has it (Li, Song and Hu, arXiv 2512.12701): step by step in the model.

The abstract says that ATP analyses "cross-modal attention distributions at each transformer layer", estimates
importance "from both inter- and intra-modal saliency" and prunes "progressively"; the method section says otherwise
(`atp`), and no code was published. So this is one reading, and the choices are ours: before each layer, tokens are
ranked by the attention of the layer before. S_inter is what the text after the image pays a visual token, mean over
heads and words. S_intra is what visual tokens pay it: each row over the visual tokens that it sees, as a multiple of an
even share, mean over the rows that see it; so neither the tokens before the image nor a token's place among the others
decides. Both are normalised over the tokens that are left and fused by alpha as in `atp`. The number that is left falls
from all to `keep` at the last layer on a schedule. Positions keep their original numbers. Of the "phrases" that the
abstract would prune too, none are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from pruneproof.pruning import kept_count, top_k
from pruneproof.pruning.atp import Normalisation, atp_scores
from pruneproof.pruning.protocol import Kept, LanguageLayer, Narrows
from pruneproof.settings import Frozen, Share

if TYPE_CHECKING:
    from torch import Tensor

Schedule = Literal["linear", "geometric"]


class Settings(Frozen):
    """Options of progressive ATP."""

    keep: Share
    """Share of visual tokens that the last layer reads, in (0, 1]; the mean over layers is larger."""
    alpha: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """Weight of the text's attention: 0 is that of visual tokens alone, 1 the text's alone."""
    normalisation: Normalisation = "minmax"
    """How both are brought to one scale over the visual tokens that are left."""
    schedule: Schedule = "linear"
    """Whether each layer drops the same number of tokens, or the same share."""


def inter_modal(attention: Tensor) -> Tensor:
    """[N] attention that visual tokens receive from the text, [H, S, N], mean over heads and words."""
    return attention.mean(dim=(0, 1))


def intra_modal(attention: Tensor) -> Tensor:
    """[N] attention that visual tokens receive from one another, [H, N, N], causal: 1 where all is spread evenly."""
    import torch

    count = attention.shape[-1]
    sees = torch.arange(1, count + 1, device=attention.device)
    even = attention.mean(dim=0)
    even = even / even.sum(dim=1, keepdim=True).clamp(min=1e-30) * sees[:, None]
    return even.sum(dim=0) / sees.flip(0)


def left_at(schedule: Schedule, keep: float, layer: int, layers: int, count: int) -> int:
    """Visual tokens that a layer reads, of `count` that the first one does."""
    done = layer / max(1, layers - 1)
    share = keep**done if schedule == "geometric" else 1.0 - (1.0 - keep) * done
    return kept_count(share, count)


@dataclass(frozen=True, slots=True)
class AtpProgressive(Narrows):
    """ATP inside the language model."""

    settings: Settings
    title = "ATP progressive"
    kind = "language"

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """What the schedule leaves at each layer, rounded."""
        chosen = self.settings
        return tuple(left_at(chosen.schedule, chosen.keep, layer, layers, count) for layer in range(layers))

    def narrow(self, layer: int, view: LanguageLayer, rng: np.random.Generator) -> Kept | None:
        """The tokens of the highest score."""
        chosen = self.settings
        left = left_at(chosen.schedule, chosen.keep, layer, view.depth, view.start)
        if left >= len(view.visual):
            return None
        intra = intra_modal(view.attention(view.visual, previous=True)[:, :, view.visual])
        inter = inter_modal(view.attention(view.text, previous=True)[:, :, view.visual])
        scores = atp_scores(intra, inter[None], chosen.alpha, chosen.normalisation, 1)[0]
        return Kept(top_k(scores, left))


def build(settings: Settings) -> AtpProgressive:
    """Progressive ATP with its options."""
    return AtpProgressive(settings)
