"""CDPruner (Zhang et al., NeurIPS 2025): patches that differ from one another, the least similar to the question first.

Source: Theia-4869/CDPruner `llava/model/llava_arch.py::encode_images`, `multimodal_encoder/clip_encoder.py`. That the
sign of relevance is reversed is no slip here: the official code negates it. As there, likeness is that of the tokens
*after* the connector, so that is its door by default, while relevance is that of the patches that the connector reads.
Not ported: questions of more than CLIP's 77 tokens, whose parts the official code averages; and for LLaVA-NeXT it gives
each crop the same budget, where here the crops share one.

The official code goes on after the tokens chosen span all others, where rounding decides, or square roots of negative
numbers make it return fewer tokens than asked for. A connector of width D has no more than D such tokens. Here the rest
is then filled up by relevance alone. Where all tokens are equally relevant, it divides by zero; here each counts as 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from pruneproof.pruning import kept_count
from pruneproof.pruning._budgets import Keep
from pruneproof.pruning._choosing import descending
from pruneproof.pruning.protocol import Door, Kept, Selects, Signals, Texts, TextTowerName, VisualTokens
from pruneproof.settings import Frozen

if TYPE_CHECKING:
    from torch import Tensor

SPANNED = 1e-5
"""Share of a token's squared length outside the span of those chosen below which float32 cannot tell it from zero."""


class Settings(Frozen):
    """Options of CDPruner."""

    keep: Keep
    """Share of visual tokens kept, in (0, 1], or a published budget."""
    door: Literal["before_connector", "after_connector"] = "after_connector"
    """Where it acts, and so which tokens must differ; after a Q-Former or a resampler no token has a relevance."""
    layer: int = -2
    """Layer of the vision tower whose patches are compared with the question: the one that LLaVA's connector reads."""
    text_tower: TextTowerName = "matched"
    """Which text tower embeds the question."""


def irrelevance(relevance: Tensor) -> Tensor:
    """Negated relevance [N] brought to about 0 to 1, by the official formula: its smallest value is not quite zero."""
    import torch

    turned = -relevance
    spread = turned.max() - turned.min()
    return (turned - turned.min() + 1e-6) / spread if spread > 0 else torch.ones_like(turned)


def determinantal(similarity: Tensor, quality: Tensor, k: int) -> Tensor:
    """Greedy choice of the tokens whose kernel has the largest determinant; among equals the first wins.

    Args:
        similarity: [N, N] cosines, float32.
        quality: [N] by which the kernel's rows and columns are multiplied.
        k: 1 to N.

    Returns:
        int64 [k] ascending.
    """
    import torch

    kernel = quality[:, None] * similarity * quality
    gain = kernel.diagonal().clone()
    least = SPANNED * gain
    basis = kernel.new_zeros(k, len(kernel))
    free = torch.ones_like(gain, dtype=torch.bool)
    for step in range(k):
        open_to = free & (gain > least)
        if not bool(open_to.any()):
            break
        best = int(gain.masked_fill(~open_to, float("-inf")).argmax())
        basis[step] = (kernel[best] - basis[:step, best] @ basis[:step]) / gain[best].sqrt()
        gain = gain - basis[step].square()
        free[best] = False
    lacking = k - int((~free).sum())
    free[descending(quality.masked_fill(~free, float("-inf")))[:lacking]] = False
    return (~free).nonzero()[:, 0]


@dataclass(frozen=True, slots=True)
class CdPruner(Selects):
    """CDPruner."""

    settings: Settings
    title = "CDPruner"
    kind = "text-guided"
    per_question = True

    @property
    def door(self) -> Door:
        """As its options say."""
        return self.settings.door

    @property
    def signals(self) -> Signals:
        """Patches of a layer in CLIP space."""
        return Signals(aligned=(self.settings.layer,), text_tower=self.settings.text_tower)

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """The share that is kept, rounded."""
        return (kept_count(self.settings.keep, count),) * layers

    def select(self, tokens: VisualTokens, texts: Texts, rng: np.random.Generator) -> list[Kept]:
        """Different and fitting patches for each question, in the picture's order."""
        import torch

        k = kept_count(self.settings.keep, tokens.count)
        unit = torch.nn.functional.normalize(tokens.features.float(), dim=-1)
        similarity, patches = unit @ unit.T, tokens.aligned(self.settings.layer).float()
        relevance = [patches @ text.float() for text in texts.in_clip]
        return [Kept(determinantal(similarity, irrelevance(one), k)) for one in relevance]


def build(settings: Settings) -> CdPruner:
    """CDPruner with its options."""
    return CdPruner(settings)
