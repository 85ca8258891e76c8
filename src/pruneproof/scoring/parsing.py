"""From a model's free text to an answer that can be compared with the truth, by the type of the truth.

A truth of `3` makes the question a count, whatever its kind is called, so that two-step questions need no rule
of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Literal

from pruneproof import wording
from pruneproof.scoring.matching import SurfaceForms, mentions, surface_forms
from pruneproof.scoring.scorers import Reading

AnswerType = Literal["yes_no", "colour", "count", "relation", "phrase"]

_COLOURS = (
    "red orange yellow green blue purple pink brown black white grey "
    "cyan teal turquoise magenta violet beige gold silver"
)
_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve "
    "thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty"
)

_VALUES: Mapping[AnswerType, Mapping[str, tuple[str, ...]]] = {
    "yes_no": {"yes": (), "no": ()},
    "colour": {colour: ("gray",) if colour == "grey" else () for colour in _COLOURS.split()},
    "count": {str(value): (word,) for value, word in enumerate(_NUMBERS.split())},
    "relation": {
        "left": (),
        "right": (),
        "above": ("over", "on top", "on top of"),
        "below": ("under", "beneath", "underneath"),
    },
}
"""Closed answer sets: value -> other ways to write it."""

_ARTICLES = frozenset({"a", "an", "the"})


@cache
def _forms(answer_type: AnswerType) -> SurfaceForms:
    return surface_forms(_VALUES[answer_type])


@lru_cache(maxsize=1 << 12)
def answer_type(truth: str) -> AnswerType:
    """How answers to a question are read: the closed set that its true answer belongs to, or as a phrase."""
    for name in _VALUES:
        if wording.words(truth) in _forms(name):
            return name
    return "phrase"


def parse(text: str, how: AnswerType) -> Reading:
    """Read an answer.

    Closed answer sets: '3', 'three' and 'There are three.' all give `3`. A text that names several different values
    ('red or blue') is not parseable and never correct, so hedging does not pay. `phrase`: the words without articles.

    Examples:
        >>> parse("On the left.", "relation")
        Reading(prediction='left', parseable=True)
        >>> parse("red and blue", "colour")
        Reading(prediction='red and blue', parseable=False)
    """
    if how == "phrase":
        words = [word for word in wording.words(text) if word not in _ARTICLES]
        return Reading(" ".join(words), bool(words))
    named = set(mentions(text, _forms(how)))
    return Reading(named.pop(), True) if len(named) == 1 else Reading(" ".join(wording.words(text)), False)
