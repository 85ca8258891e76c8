"""MMTok (Dong et al., ICLR 2026, arXiv 2508.18264): tokens that together cover the question's words and the picture.

Source: Ironieser/MMTok `mmtok/core/semantic_selector.py::mm_coverage_selection`. How well a token covers a word is the
cosine of the token after the connector and the word as the language model embeds it, softmax over all tokens; how well
it covers another token is their cosine in the vision tower, likewise. What a set covers of a word or token is its best
member's share; tokens are added one by one, each the one that covers most more.

The words are those that name something visible: function words such as `is`, `the` and `what` are left out, and so are
LLaVA's demands for short answers. If none is left, all are taken. Not ported: for LLaVA-1.5 the official code never
keeps patches of the margins by which it pads a picture to a square. The temperature of words is 0.02 as its injection
into LLaVA has it; the function's own default is 0.01.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from pruneproof.pruning import kept_count
from pruneproof.pruning._budgets import Keep
from pruneproof.pruning.protocol import Kept, Selects, Signals, Texts, VisualTokens
from pruneproof.settings import Frozen

if TYPE_CHECKING:
    from torch import Tensor


DEMANDS = (
    "Answer the question using a single word or phrase.",
    "Answer with the option's letter from the given choices directly.",
)
"""Of LLaVA's prompts for benchmarks."""

NOT_VISIBLE = frozenset(
    {
        "a", "an", "the", "is", "are", "was", "were", "be", "been", "being", "have", "has", "had", "do", "does",
        "did", "it", "they", "he", "she", "we", "you", "i", "what", "where", "when", "why", "how", "who",
        "which", "and", "or", "but", "so", "if", "then", "question", "answer", "to", "for", "with", "by",
        "from", "at", "into", "onto", "upon",
    }
)  # fmt: skip
"""Words that name nothing visible."""


class Settings(Frozen):
    """Options of MMTok."""

    keep: Keep
    """Share of visual tokens kept, in (0, 1], or a published budget."""
    picture_weight: Annotated[float, Field(ge=0.0)] = 0.5
    """Weight of covering the picture, that of covering the question being 1; the official `alpha`."""
    word_temperature: Annotated[float, Field(gt=0.0)] = 0.02
    """Of the softmax by which tokens share a word."""
    picture_temperature: Annotated[float, Field(gt=0.0)] = 0.2
    """Of the softmax by which tokens share another token."""


def visible_words(question: str) -> list[str]:
    """The words of a question that a picture may show; all that stands between spaces if there are none.

    Source: Ironieser/MMTok `text_processor.py::extract_keywords_simple`.
    """
    for demand in DEMANDS:
        question = question.replace(demand, "")
    return [word for word in re.findall(r"\b\w+\b", question) if word.lower() not in NOT_VISIBLE] or question.split()


def shares(covered: Tensor, tokens: Tensor, temperature: float) -> Tensor:
    """[M, N] how tokens share what is to be covered, by cosine; all rows together add up to one.

    Args:
        covered: [M, D].
        tokens: [N, D].
        temperature: of the softmax.
    """
    from torch.nn.functional import normalize

    cosine = normalize(covered.float(), dim=-1, eps=1e-8) @ normalize(tokens.float(), dim=-1, eps=1e-8).T
    return (cosine / temperature).softmax(dim=1) / len(covered)


def cover(gain: Tensor, k: int) -> Tensor:
    """Greedy maximum coverage; among equal tokens the first wins.

    Args:
        gain: [M, N] what each token covers of each row.
        k: 1 to N.

    Returns:
        int64 [k] ascending.
    """
    import torch

    covered = gain.new_zeros(len(gain), 1)
    chosen = torch.zeros(gain.shape[1], dtype=torch.bool, device=gain.device)
    for _ in range(k):
        more = (gain - covered).clamp(min=0).sum(dim=0).masked_fill(chosen, float("-inf"))
        best = more.argmax()
        chosen[best] = True
        covered = covered.maximum(gain[:, best, None])
    return chosen.nonzero()[:, 0]


@dataclass(frozen=True, slots=True)
class MmTok(Selects):
    """MMTok after the connector."""

    settings: Settings
    title = "MMTok"
    kind = "text-guided"
    door = "after_connector"
    per_question = True
    signals = Signals(patches=True)

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """The share that is kept, rounded."""
        return (kept_count(self.settings.keep, count),) * layers

    def select(self, tokens: VisualTokens, texts: Texts, rng: np.random.Generator) -> list[Kept]:
        """The tokens that together cover most, for each question."""
        import torch

        chosen = self.settings
        k = kept_count(chosen.keep, tokens.count)
        patches = tokens.tower_features
        picture = shares(patches, patches, chosen.picture_temperature) * chosen.picture_weight
        found = []
        for question in texts.questions:
            words = visible_words(question)
            asked = [shares(texts.embed(words), tokens.features, chosen.word_temperature)] if words else []
            found.append(Kept(cover(torch.cat([*asked, picture]), k)))
        return found


def build(settings: Settings) -> MmTok:
    """MMTok with its options."""
    return MmTok(settings)
