"""Adaptive ATP: as many patches as hold a given share of the picture's score, so that a busy picture keeps more.

ATP (arXiv 2512.12701) calls itself adaptive and keeps the same number of every picture. This is the other reading of
its name: for each question the smallest set of patches whose scores add up to a share of the sum of all, within bounds.
No paper publishes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import model_validator

from pruneproof.pruning import kept_count, top_k
from pruneproof.pruning._budgets import Keep
from pruneproof.pruning.atp import Scoring, normalise, scored
from pruneproof.pruning.protocol import Kept, Kind, Selects, Signals, Texts, VisualTokens
from pruneproof.settings import Share

if TYPE_CHECKING:
    from torch import Tensor


class Settings(Scoring):
    """Options of adaptive ATP."""

    tau: Share
    """Share of the sum of all scores that the patches kept must hold, in (0, 1]."""
    least: Keep = 0.1
    """Share of visual tokens, in (0, 1], that are kept however few would do."""
    most: Keep = 1.0
    """Share of visual tokens, in (0, 1], that are kept however many it would take."""
    normalisation: Literal["minmax", "softmax", "sum"] = "sum"
    """How both scores are brought to one scale; shares of a sum need scores that are not negative."""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Settings:
        if self.least > self.most:
            raise ValueError(f"`least` {self.least:g} is above `most` {self.most:g}")
        return self


def enough(scores: Tensor, tau: float) -> int:
    """How many of the highest scores [N], none of them negative, hold a share of their sum; of scores of 0, that share.

    Rounding never counts as a lack: five of ten equal scores hold half of their sum.
    """
    held = scores.double().sort(descending=True).values.cumsum(dim=-1)
    total = float(held[-1])
    if total <= 0.0:
        return ceil(tau * len(scores))
    return min(int((held < (tau - 1e-9) * total).sum()) + 1, len(scores))


@dataclass(frozen=True, slots=True)
class AtpAdaptive(Selects):
    """ATP with a budget of its own for each picture and question."""

    settings: Settings
    title = "ATP adaptive"
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

    def budget(self, count: int, layers: int) -> tuple[int, ...] | None:
        """Unknown beforehand, unless the bounds are one."""
        least, most = (kept_count(bound, count) for bound in (self.settings.least, self.settings.most))
        return (least,) * layers if least == most else None

    def select(self, tokens: VisualTokens, texts: Texts, rng: np.random.Generator) -> list[Kept]:
        """The highest scores for each question, as many as are enough."""
        chosen = self.settings
        scores = scored(chosen, tokens, texts)
        if not chosen.per_question:
            scores = normalise(scores, chosen.normalisation)
        least, most = (kept_count(bound, tokens.count) for bound in (chosen.least, chosen.most))
        return [Kept(top_k(row, min(max(enough(row, chosen.tau), least), most))) for row in scores]


def build(settings: Settings) -> AtpAdaptive:
    """Adaptive ATP with its options."""
    return AtpAdaptive(settings)
