"""What a question is made of: words, numbers, negations, and how far two texts are apart."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
"""A word, with the apostrophes and hyphens inside it (`isn't`, `T-shirt`)."""

_FIGURE = re.compile(r"(?<!\w)\d+(?:[.,]\d+)*(?!\w)")


@lru_cache(maxsize=1 << 14)
def words(text: str) -> tuple[str, ...]:
    """The words of a text in lower case, straight apostrophes."""
    return tuple(word.casefold().replace("\u2019", "'") for word in WORD.findall(text))


_COUNTING = words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_NUMBER_WORDS = {word: str(number) for number, word in enumerate(_COUNTING)}
_NEGATIONS = frozenset(
    words("no not never none nothing nobody nowhere neither nor without cannot cant dont isnt arent doesnt")
)
YES_NO = frozenset({"yes", "no", "yeah", "yep", "nope"})


def is_negation(word: str) -> bool:
    """Whether a lower-case word negates."""
    return word in _NEGATIONS or word.endswith("n't")


def is_number(word: str) -> bool:
    """Whether a lower-case word is a number from zero to twenty, or holds a digit."""
    return word in _NUMBER_WORDS or any(character.isdigit() for character in word)


def numbers(text: str) -> Counter[str]:
    """The numbers of a text with repetitions, figures and words alike (`two` counts as `2`)."""
    spelled = (_NUMBER_WORDS[word] for word in words(text) if word in _NUMBER_WORDS)
    return Counter([*_FIGURE.findall(text), *spelled])


def negations(text: str) -> Counter[str]:
    """The negating words of a text with repetitions."""
    return Counter(word for word in words(text) if is_negation(word))


def edit_distance(first: str, second: str) -> int:
    """Levenshtein distance in characters: insertions, deletions and substitutions cost 1 each.

    Bit-parallel over Python's long integers (Myers 1999, in the form of Hyyrö 2003), so that a pair of
    questions costs some tens of microseconds. What they share at either end costs nothing, so it is left out first.
    """
    for _ in range(2):  # cut the shared beginning off, turned round; then the shared end, turned back
        shared = _shared_beginning(first, second)
        first, second = first[shared:][::-1], second[shared:][::-1]
    if not first or not second:
        return max(len(first), len(second))
    positions: dict[str, int] = {}
    for index, character in enumerate(first):
        positions[character] = positions.get(character, 0) | 1 << index
    full, last = (1 << len(first)) - 1, 1 << (len(first) - 1)
    plus, minus, distance = full, 0, len(first)
    for character in second:
        equal = positions.get(character, 0)
        diagonal = (((equal & plus) + plus) ^ plus) | equal | minus
        up, down = minus | (full & ~(diagonal | plus)), plus & diagonal
        distance += bool(up & last) - bool(down & last)
        up, down = up << 1 | 1, down << 1
        plus, minus = down | (full & ~(diagonal | up)), up & diagonal
        plus &= full
    return distance


def _shared_beginning(first: str, second: str) -> int:
    pairs = enumerate(zip(first, second, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(first), len(second)))
