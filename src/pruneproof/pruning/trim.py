"""TRIM (Song et al., COLING 2025): the patches least similar to the question in CLIP space, and the mean of the others.

Source: FreedomIntelligence/TRIM `llava/model/multimodal_encoder/clip_encoder.py::token_reduction`. That the sign is
reversed is no slip here: the official code negates the similarity before its softmax. As there, the patches are those
that the connector reads, not the last layer's, and neither they nor the question are brought to unit length, which
decides how peaked the softmax is. Not ported: checkpoints tuned for the method.

The official code ranks patches after its softmax, which is zero for all that lie far enough from the first: with a CLIP
whose embeddings are as long as the built-in one's, that leaves the choice to chance. Here patches are ranked before the
softmax, which only decides how many are outliers.

A share is cut off (`int()`) as in the official code, and the mean comes on top of it: `llava15_192` leaves 193 tokens.
With all tokens kept the official code appends a token of zeros; here nothing changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pruneproof.pruning import top_k
from pruneproof.pruning._budgets import Keep
from pruneproof.pruning._choosing import outlier_share, plain
from pruneproof.pruning.protocol import Kept, Selects, Signals, Texts, TextTowerName, VisualTokens
from pruneproof.settings import Frozen

if TYPE_CHECKING:
    from torch import Tensor


class Settings(Frozen):
    """Options of TRIM."""

    keep: Keep | None = None
    """Share of visual tokens kept besides the mean of the others, in (0, 1], or a published budget; without it, as by
    default in the official code, those whose score is an outlier."""
    layer: int = -2
    """Layer of the vision tower whose patches are compared: the one whose output LLaVA's connector reads."""
    text_tower: TextTowerName = "matched"
    """Which text tower embeds the question."""


def reduced(scores: Tensor, k: int) -> Kept:
    """The k patches of the highest scores [N] in the picture's order, and the mean of all others."""
    import torch

    index = top_k(scores, k)
    if k == len(scores):
        return Kept(index)
    dropped = torch.ones_like(scores)
    dropped[index] = 0.0
    weights = torch.cat([plain(index, len(scores)), (dropped / dropped.sum())[None]])
    return Kept(torch.cat([index, index.new_tensor([-1])]), weights)


@dataclass(frozen=True, slots=True)
class Trim(Selects):
    """TRIM, training-free."""

    settings: Settings
    title = "TRIM"
    kind = "text-guided"
    door = "before_connector"
    per_question = True

    @property
    def signals(self) -> Signals:
        """Patches of a layer in CLIP space."""
        return Signals(projected=(self.settings.layer,), text_tower=self.settings.text_tower)

    def budget(self, count: int, layers: int) -> tuple[int, ...] | None:
        """The share that is kept, cut off, and the mean of the others; unknown beforehand for outliers."""
        if self.settings.keep is None:
            return None
        return (min(int(count * self.settings.keep) + 1, count),) * layers

    def select(self, tokens: VisualTokens, texts: Texts, rng: np.random.Generator) -> list[Kept]:
        """The least similar patches for each question."""
        similarity = texts.projected.float() @ tokens.projected(self.settings.layer).float().T
        keep = self.settings.keep
        shares = [outlier_share((-row).softmax(dim=-1)) if keep is None else keep for row in similarity]
        return [reduced(-row, int(tokens.count * share)) for row, share in zip(similarity, shares, strict=True)]


def build(settings: Settings) -> Trim:
    """TRIM with its options."""
    return Trim(settings)
