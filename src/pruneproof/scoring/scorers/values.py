"""Whether an answer names the one true value: a colour, a number, a side, yes or no, or the words of a phrase.

The rule of the scenes' questions; see `parsing`.
"""

from __future__ import annotations

from collections.abc import Sequence

from pruneproof.scoring import parsing
from pruneproof.scoring.scorers import Floats, Ratios, Reading, Truth

TITLE = "named value"


def read(text: str, truth: Truth) -> Reading:
    """The value that a text names, of the closed set that the true answer belongs to."""
    return parsing.parse(text, parsing.answer_type(truth.answers[0]))


def mark(prediction: str, truth: Truth) -> float:
    """1 for a true value, else 0; a text that names several values is never right."""
    how = parsing.answer_type(truth.answers[0])
    return float(any(parsing.parse(answer, how).prediction == prediction for answer in truth.answers))


def ratios(predictions: Sequence[str], marks: Floats, truths: Sequence[Truth]) -> Ratios:
    """None of its own: the mean mark is the study's accuracy."""
    return {}


def figures(predictions: Sequence[str], marks: Floats, truths: Sequence[Truth]) -> dict[str, float]:
    """None: there is no official script."""
    return {}
