"""Adaptive Token Pruning (Li, Song and Hu, arXiv 2512.12701), from the paper: no code was published.

S = alpha * S_inter + (1 - alpha) * S_intra, both normalised over the image's patches; the top K patches go on to the
connector. S_intra is the CLS attention of a vision-tower layer, S_inter the similarity of patch and question in CLIP
space.

With alpha 0 and layer -2 the selection is FasterVLM's (Theia-4869/FasterVLM `clip_encoder.py::feature_select`). With
alpha 1 and sign -1 it comes near TRIM (FreedomIntelligence/TRIM `clip_encoder.py::token_reduction`), which differs in
four points: it scores the patches of layer -2, the ones that the connector receives, instead of the last layer's; it
does not normalise a patch to unit length; it keeps the outliers by interquartile range, or a share whose count it cuts
off (`int()`) where `kept_count` rounds; and it appends the mean of the dropped patches as one more token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from pruneproof.pruning import kept_count, top_k
from pruneproof.pruning._budgets import Keep
from pruneproof.pruning.protocol import Kept, Kind, Selects, Signals, Texts, TextTowerName, VisualTokens
from pruneproof.settings import Frozen

if TYPE_CHECKING:
    from torch import Tensor

Normalisation = Literal["minmax", "zscore", "softmax", "sum"]


class Scoring(Frozen):
    """How ATP scores a patch."""

    alpha: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """Weight of the question: 0 is attention alone, 1 is relevance alone; the paper leaves it open."""
    attention_layer: Annotated[int, Field(le=-1)] = -1
    """Layer of the CLS attention, from the end: -1 as the paper writes; -2 is where LLaVA's features come from."""
    normalisation: Normalisation = "minmax"
    """How both scores are brought to one scale over the image's patches; the paper does not say."""
    relevance_sign: Literal[1, -1] = 1
    """+1 keeps the patches most similar to the question, as the paper writes; -1 the least similar, as TRIM, CDPruner
    and LiteLVLM do, because CLIP's patches inside the named object are less similar to its name."""
    text_tower: TextTowerName = "matched"
    """Which text tower embeds the question: that of the vision tower's own CLIP pair, or the backbone's
    `control_text_tower`; the paper leaves open what its score is worth without a matching one."""

    @property
    def signals(self) -> Signals:
        """The layer of S_intra, and the last layer's patches in CLIP space."""
        return Signals(
            cls_attention=(self.attention_layer,),
            aligned=(-1,) if self.per_question else (),
            text_tower=self.text_tower,
        )

    @property
    def per_question(self) -> bool:
        """Whether relevance has any weight."""
        return self.alpha > 0.0

    @property
    def kind(self) -> Kind:
        """Attention alone with alpha 0."""
        return "text-guided" if self.per_question else "attention"


class Settings(Scoring):
    """Options of ATP."""

    keep: Keep
    """Share of visual tokens kept, in (0, 1], or a published budget; the paper's table has about 0.6."""


def normalise(scores: Tensor, how: Normalisation) -> Tensor:
    """Bring scores [..., N] to one scale over the last dimension; constant rows become zeros or equal shares.

    `minmax` maps to [0, 1], `zscore` to mean 0 and standard deviation 1, `softmax` and `sum` to shares that add up to
    one (`sum` first shifts by a negative minimum).
    """
    if how == "softmax":
        return scores.softmax(dim=-1)
    low = scores.amin(dim=-1, keepdim=True)
    if how == "sum":
        shifted = scores - low.clamp(max=0.0)
        total = shifted.sum(dim=-1, keepdim=True)
        return shifted.div(total.clamp(min=1e-12)).where(total > 0, 1.0 / scores.shape[-1])
    if how == "zscore":
        spread = scores.std(dim=-1, keepdim=True, correction=0)
        return (scores - scores.mean(dim=-1, keepdim=True)) / spread.clamp(min=1e-12)
    return (scores - low) / (scores.amax(dim=-1, keepdim=True) - low).clamp(min=1e-12)


def atp_scores(attention: Tensor, relevance: Tensor, alpha: float, how: Normalisation, sign: int) -> Tensor:
    """ATP's score of each patch for each question.

    Args:
        attention: [N] CLS attention.
        relevance: [Q, N] similarity of patches and questions.
        alpha: weight of relevance.
        how: normalisation of both.
        sign: +1 or -1, applied to relevance before normalising.

    Returns:
        [Q, N].
    """
    return alpha * normalise(sign * relevance, how) + (1.0 - alpha) * normalise(attention, how)[None]


def scored(how: Scoring, tokens: VisualTokens, texts: Texts) -> Tensor:
    """[Q, N] ATP's score of each patch for each question; [1, N] attention as it is, where questions play no part."""
    attention = tokens.cls_attention(how.attention_layer)
    if not how.per_question:
        return attention[None]
    relevance = texts.in_clip @ tokens.aligned(-1).T
    return atp_scores(attention, relevance, how.alpha, how.normalisation, how.relevance_sign)


@dataclass(frozen=True, slots=True)
class Atp(Selects):
    """ATP at the door before the connector; with alpha 0 the question plays no part and is not looked at."""

    settings: Settings
    title = "ATP"
    door = "before_connector"

    @property
    def kind(self) -> Kind:
        """Attention alone with alpha 0."""
        return self.settings.kind

    @property
    def per_question(self) -> bool:
        """Whether relevance has any weight."""
        return self.settings.per_question

    @property
    def signals(self) -> Signals:
        """What the score is made of."""
        return self.settings.signals

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """The share that is kept, rounded."""
        return (kept_count(self.settings.keep, count),) * layers

    def select(self, tokens: VisualTokens, texts: Texts, rng: np.random.Generator) -> list[Kept]:
        """The highest scores for each question."""
        k = kept_count(self.settings.keep, tokens.count)
        return [Kept(row) for row in top_k(scored(self.settings, tokens, texts), k)]


def build(settings: Settings) -> Atp:
    """ATP with its options."""
    return Atp(settings)
