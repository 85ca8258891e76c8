"""SparseVLM v1.5 (Zhang et al., arXiv 2410.04417): question words rate visual tokens, and some dropped ones are merged.

Source: Gumpest/SparseVLMs, branch v1.5, `llava/model/language_model/modelling_sparse_llama.py` (the loop of the
prompt), `score.py::attn_postprocess_topk`, `utils.py::cluster_and_merge`. The words that rate are chosen once, from
what the language model's first layer reads: those of the text after the image that visual tokens resemble more than the
mean one. After layers 2, 6 and 15 (from 0) of 32 a fixed number of the visual tokens goes on, by the attention that
these words pay them in that layer, mean over heads and words; the best 30% of the others, in clusters of about ten, go
on as the clusters' means, after the kept ones. Everything is renumbered.

So a budget of 192 is more than 192 tokens a layer: the published counts leave out merged tokens, and the layer whose
output is pruned. The official density of a point has random noise of 1e-6 on it, to tell equal ones apart; here it
comes from the study's stream. The official code always drops a token, even if it has fewer than its budget, and has no
words left to ask if all of them are equal; here everything is kept then, and all words are asked. It scores in the
model's own precision, in which that noise is lost for float16; here in float32. Not ported: the share of tokens that
the paper derives from a rank (the official code has constants), and v2 (SparseVLM+).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from pruneproof.pruning import kept_count, top_k
from pruneproof.pruning._stages import at_depth, require_stages, spread
from pruneproof.pruning.protocol import Kept, LanguageLayer, Narrows
from pruneproof.settings import Frozen, Share

if TYPE_CHECKING:
    from torch import Tensor

Preset = Literal["llava15_192", "llava15_128", "llava15_64"]

PUBLISHED: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "llava15_192": (300 / 576, 200 / 576, 110 / 576),
        "llava15_128": (303 / 576, 110 / 576, 36 / 576),
        "llava15_64": (66 / 576, 30 / 576, 17 / 576),
    }
)
"""Of LLaVA-1.5's 576 visual tokens, what each stage keeps without merged ones, by the official name of the budget."""


class Settings(Frozen):
    """Options of SparseVLM."""

    keep: Preset | tuple[Share, ...] = "llava15_192"
    """Share of the visual tokens at the input that each stage keeps, in (0, 1], merged ones not counted; or a published
    budget of LLaVA-1.5, as shares of its 576 tokens."""
    layers: Annotated[tuple[int, ...], Field(min_length=1)] = (2, 6, 15)
    """Layers, from 0, whose output is pruned, in a model of `of` layers; a model of another depth prunes at the same
    shares of its own."""
    of: Annotated[int, Field(ge=2)] = 32
    """Layers of the model that `layers` counts in."""

    @property
    def shares(self) -> tuple[float, ...]:
        """`keep` in numbers."""
        return PUBLISHED[self.keep] if isinstance(self.keep, str) else self.keep

    @property
    def before(self) -> tuple[int, ...]:
        """The layers that read what `layers` leave."""
        return tuple(layer + 1 for layer in self.layers)

    @model_validator(mode="after")
    def _in_order(self) -> Settings:
        require_stages(self.before, self.shares, self.of)
        return self


def raters(visual: Tensor, text: Tensor) -> Tensor:
    """int64 [R] the words that rate: those whose mean share of the visual tokens' attention is above the mean word's.

    Args:
        visual: [N, D] visual tokens at the language model's input.
        text: [S, D] the tokens after them.
    """
    shares = (visual.float() @ text.float().T).softmax(dim=1).mean(dim=0)
    above: Tensor = (shares > shares.mean()).nonzero()[:, 0]
    return above if len(above) else shares.new_ones(len(text)).nonzero()[:, 0]


def recycled_count(dropped: int) -> int:
    """How many of the dropped tokens are merged."""
    return int(dropped * 0.3) + 1


def cluster_count(recycled: int) -> int:
    """Into how many."""
    return int(recycled / 10) + 1


def left_of(count: int, keep: int) -> int:
    """Visual tokens that a stage leaves of `count`, merged ones among them."""
    return count if keep >= count else keep + cluster_count(recycled_count(count - keep))


def clusters(states: Tensor, count: int, noise: Tensor) -> Tensor:
    """int64 [M] the cluster of each token, numbered by falling score of their centres: density peaks (DPC-KNN).

    Args:
        states: [M, D].
        count: clusters, 1 to M; also how many neighbours make a density.
        noise: [M] added to densities.
    """
    import torch

    states = states.float()
    # Without `cdist`'s matrix product, which loses small distances.
    exact = torch.cdist(states, states, compute_mode="donot_use_mm_for_euclid_dist")
    distance = exact / states.shape[1] ** 0.5
    density = (-(distance.sort(dim=-1).values[:, :count] ** 2).mean(dim=-1)).exp() + noise
    denser = density[None] > density[:, None]
    to_denser = distance.where(denser, distance.max()).amin(dim=-1)
    centres = (to_denser * density).sort(descending=True, stable=True).indices[:count]
    nearest: Tensor = distance[centres].argmin(dim=0)
    nearest[centres] = torch.arange(count, device=states.device)
    return nearest


def keep_and_merge(scores: Tensor, states: Tensor, keep: int, rng: np.random.Generator) -> Kept:
    """The best tokens in their order, and after them the means of clusters of the best others.

    Args:
        scores: [N] of the visual tokens.
        states: [N, D].
        keep: 1 to N - 1.
        rng: gives one number in [0, 1) for each token that is merged.
    """
    import torch

    count, device = len(scores), states.device
    kept = top_k(scores, keep)
    dropped = torch.ones(count, dtype=torch.bool, device=device).index_fill(0, kept, False).nonzero()[:, 0]
    best = scores[dropped].sort(descending=True, stable=True).indices[: recycled_count(len(dropped))]
    recycled = dropped[best]
    noise = torch.from_numpy(rng.random(len(recycled), dtype=np.float32)).to(device) * 1e-6
    merged = cluster_count(len(recycled))
    own = clusters(states[recycled], merged, noise)
    sizes = torch.bincount(own, minlength=merged).float()
    weights = torch.zeros(keep + merged, count, device=device)
    weights[torch.arange(keep, device=device), kept] = 1.0
    weights[keep + own, recycled] = 1.0 / (sizes[own] + 1e-6)
    return Kept(torch.cat([kept, kept.new_full((merged,), -1)]), weights)


@dataclass(frozen=True, slots=True)
class SparseVlm(Narrows):
    """SparseVLM v1.5."""

    settings: Settings
    title = "SparseVLM"
    kind = "language"
    renumbers = True

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """What each stage keeps, and the means of clusters."""
        before = at_depth(self.settings.before, self.settings.of, layers)
        left, counts = count, []
        for share in self.settings.shares:
            left = left_of(left, kept_count(share, count))
            counts.append(left)
        return spread(before, counts, count, layers)

    def narrow(self, layer: int, view: LanguageLayer, rng: np.random.Generator) -> Kept | None:
        """The tokens that the question's words attended to most in the layer before, and means of others."""
        before = at_depth(self.settings.before, self.settings.of, view.depth)
        if layer not in before:
            return None
        keep = kept_count(self.settings.shares[before.index(layer)], view.start)
        if keep >= len(view.visual):
            return None
        words = view.text[raters(view.embedded_visual, view.embedded_text)]
        scores = view.attention(words, previous=True)[:, :, view.visual].mean(dim=(0, 1))
        return keep_and_merge(scores, view.state[view.visual], keep, rng)


def build(settings: Settings) -> SparseVlm:
    """SparseVLM with its options."""
    return SparseVlm(settings)
