"""What a model that sees nothing scores, and how much of its lead over that a model keeps.

The model that sees nothing gives, to every kind of question, that kind's most frequent answer. An accuracy is worth
nothing below its score, which is why drops alone mislead: a model just above it has hardly anything to lose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

FLOOR = 0.2
"""Below this retention of the full model a condition leaves nothing that a method could lose."""


@dataclass(frozen=True, slots=True)
class Chance:
    """What the model that sees nothing scores on some questions."""

    correct: int
    questions: int

    @property
    def level(self) -> float:
        """Its accuracy in 0..1; nan without questions."""
        return self.correct / self.questions if self.questions else float("nan")


def most_frequent(kinds: Sequence[str], truths: Sequence[str]) -> dict[str, str]:
    """The most frequent true answer of every kind of question; of two that tie, the first in the alphabet.

    Args:
        kinds: of every question.
        truths: its true answer.

    Examples:
        >>> most_frequent(["count", "count", "count", "colour"], ["2", "1", "2", "red"])
        {'count': '2', 'colour': 'red'}
    """
    asked: dict[str, Counter[str]] = {}
    for kind, truth in zip(kinds, truths, strict=True):
        asked.setdefault(kind, Counter())[truth] += 1
    return {kind: min(seen, key=lambda truth: (-seen[truth], truth)) for kind, seen in asked.items()}


def sightless(kinds: Sequence[str], truths: Sequence[str]) -> Floats:
    """Whether the model that sees nothing is right about each question, (N) of 1 and 0."""
    answers = most_frequent(kinds, truths)
    return np.array([answers[kind] == truth for kind, truth in zip(kinds, truths, strict=True)], float)


def chance_levels(kinds: Sequence[str], truths: Sequence[str]) -> Mapping[str, Chance]:
    """What the model that sees nothing scores on every kind of question."""
    right = sightless(kinds, truths)
    names = np.array(kinds, str)
    return {kind: Chance(int(right[names == kind].sum()), int((names == kind).sum())) for kind in dict.fromkeys(kinds)}


def total(levels: Mapping[str, Chance], kinds: Collection[str]) -> Chance:
    """The score over several kinds, every question counting once; kinds that are not asked count for nothing."""
    chosen = [level for kind, level in levels.items() if kind in kinds]
    return Chance(sum(level.correct for level in chosen), sum(level.questions for level in chosen))


def retention(accuracy: ArrayLike, clean: ArrayLike, chance: ArrayLike) -> Floats:
    """Share of its lead over chance that a model keeps: (accuracy - chance) / (clean - chance).

    1 = as good as on clean input, 0 = no better than a model that sees nothing; above 1 and below 0 are possible.

    Args:
        accuracy: under a perturbation, any shape, in the unit of the other two.
        clean: of the same model on clean input, broadcastable.
        chance: from `total`, broadcastable.

    Returns:
        nan where the model is no better than chance on clean input: it has no lead to keep.

    Examples:
        >>> retention([0.9, 0.75, 0.6], clean=0.9, chance=0.6).round(2).tolist()
        [1.0, 0.5, 0.0]
    """
    left, lead = np.broadcast_arrays(
        np.subtract(accuracy, chance, dtype=float), np.subtract(clean, chance, dtype=float)
    )
    kept = np.full(left.shape, np.nan)
    np.divide(left, lead, out=kept, where=lead > 0)
    return kept
