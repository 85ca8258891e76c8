"""The words of a text, and whether a phrase occurs in it: protecting a word and looking for it follow the same rule."""

from __future__ import annotations

import re
from functools import lru_cache

_WORD = re.compile(r"[^\W_]+(?:['\N{RIGHT SINGLE QUOTATION MARK}][^\W_]+)?")
_BETWEEN = r"[\s_-]+"


def contains(text: str, phrase: str) -> bool:
    """Whether a word or phrase occurs in a text as a whole, in any case.

    Spaces, hyphens and underscores are equivalent between words: `traffic_light` occurs in `a traffic light`, and
    `car` in `car-shaped`.

    Examples:
        >>> contains("Is the Traffic-Light on?", "traffic_light"), contains("A carpet.", "car")
        (True, False)
    """
    return _pattern(phrase).search(text) is not None


def words(text: str) -> tuple[str, ...]:
    """Runs of letters and digits in lower case; an apostrophe inside a word belongs to it."""
    return tuple(_WORD.findall(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")))


def placed_words(text: str) -> tuple[tuple[int, str], ...]:
    """Where each of the `words` of a text begins, and how it is written there."""
    return tuple((found.start(), found[0]) for found in _WORD.finditer(text))


@lru_cache(maxsize=1 << 12)
def _pattern(phrase: str) -> re.Pattern[str]:
    parts = [part for part in re.split(_BETWEEN, phrase) if part]
    if not parts:  # nothing but separators: as it is written
        return re.compile(re.escape(phrase))
    return re.compile(rf"(?<![^\W_]){_BETWEEN.join(map(re.escape, parts))}(?![^\W_])", re.IGNORECASE)
