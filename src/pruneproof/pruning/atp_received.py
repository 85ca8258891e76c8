"""ATP adapted to vision towers without CLS and without a CLIP text tower; no published method.

ATP (Li, Song and Hu, arXiv 2512.12701; `pruning/atp.py`) adds two scores of a patch: how much CLS attends to it, and
how similar it is to the question in CLIP space. The towers of Qwen2.5-VL, Qwen3-VL, LLaVA-OneVision and SmolVLM have no
CLS, and no CLIP text tower was trained with them. Here

- S_intra is the attention that a token receives in the tower's last layer, mean over heads and over all queries. Where
  the connector merges patches it is the mean over those that are merged. In Qwen2.5-VL, whose tower looks into windows
  in most layers, the last one is among the few that look at the whole picture.
- S_inter is the cosine of the token after the connector and the question's words as the language model embeds them,
  mean over the words or the greatest of them. The words are those that name something visible, as in MMTok.

Both are brought to [0, 1] over the picture's tokens; S = alpha * S_inter + (1 - alpha) * S_intra, and the top K stay.
Nothing of the paper's findings carries over without measuring: this is another method under ATP's formula.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from pruneproof.pruning import kept_count, top_k
from pruneproof.pruning._budgets import Keep
from pruneproof.pruning.atp import atp_scores
from pruneproof.pruning.mmtok import visible_words
from pruneproof.pruning.protocol import Kept, Kind, Selects, Signals, Texts, VisualTokens
from pruneproof.settings import Frozen

if TYPE_CHECKING:
    from torch import Tensor

Pooling = Literal["mean", "max"]


class Settings(Frozen):
    """Options of ATP adapted to towers without CLS."""

    keep: Keep
    """Share of visual tokens kept, in (0, 1], or a published budget."""
    alpha: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """Weight of the question: 0 is attention alone, 1 is relevance alone."""
    attention_layer: Annotated[int, Field(le=-1)] = -1
    """Layer of the vision tower whose received attention counts, from the end."""
    words: Pooling = "mean"
    """Whether a token's relevance is its mean cosine over the question's words, or its greatest."""
    relevance_sign: Literal[1, -1] = 1
    """+1 keeps the tokens most similar to the question, as the paper writes; -1 the least similar."""


def relevance(tokens: Tensor, words: Tensor, pooling: Pooling) -> Tensor:
    """[N] similarity of each token and a question, by cosine; zero for all where there are no words.

    Args:
        tokens: [N, D] after the connector.
        words: [W, D] as the language model embeds them.
        pooling: over the words.
    """
    from torch.nn.functional import normalize

    if not len(words):
        return tokens.new_zeros(len(tokens)).float()
    cosine = normalize(tokens.float(), dim=-1) @ normalize(words.float(), dim=-1).T
    return cosine.mean(dim=-1) if pooling == "mean" else cosine.amax(dim=-1)


@dataclass(frozen=True, slots=True)
class AtpReceived(Selects):
    """ATP by received attention and the language model's words, after the connector."""

    settings: Settings
    title = "ATP adapted"
    door = "after_connector"
    adaptation = (
        "an adaptation of this project, not the paper's method: attention received stands for CLS attention, and the "
        "language model's words for the question in CLIP space"
    )

    @property
    def kind(self) -> Kind:
        """Attention alone with alpha 0."""
        return "text-guided" if self.per_question else "attention"

    @property
    def per_question(self) -> bool:
        """Whether relevance has any weight."""
        return self.settings.alpha > 0.0

    @property
    def signals(self) -> Signals:
        """The layer of S_intra."""
        return Signals(received_attention=(self.settings.attention_layer,))

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """The share that is kept, rounded."""
        return (kept_count(self.settings.keep, count),) * layers

    def select(self, tokens: VisualTokens, texts: Texts, rng: np.random.Generator) -> list[Kept]:
        """The highest scores for each question."""
        import torch

        chosen = self.settings
        k = kept_count(chosen.keep, tokens.count)
        attention = tokens.received_attention(chosen.attention_layer)
        if not self.per_question:
            return [Kept(top_k(attention, k))]
        found = []
        for question in texts.questions:
            words = visible_words(question)
            embedded = texts.embed(words) if words else tokens.features[:0]
            found.append(relevance(tokens.features, embedded, chosen.words))
        scores = atp_scores(attention, torch.stack(found), chosen.alpha, "minmax", chosen.relevance_sign)
        return [Kept(row) for row in top_k(scores, k)]


def build(settings: Settings) -> AtpReceived:
    """The adaptation with its options."""
    return AtpReceived(settings)
