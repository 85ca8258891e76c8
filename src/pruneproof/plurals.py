"""A number with its noun."""

from __future__ import annotations

_HISSING = ("s", "x", "z", "ch", "sh")
_VOWELS = "aeiou"


def number_of(count: int, noun: str) -> str:
    """A regular noun in the form that its number asks for.

    Examples:
        >>> number_of(1, "weight file"), number_of(0, "batch"), number_of(3, "process"), number_of(2, "query")
        ('1 weight file', '0 batches', '3 processes', '2 queries')
    """
    return f"{count} {noun if count == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """More than one of a regular noun; of several words, the last changes."""
    if noun.endswith(_HISSING):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2] not in _VOWELS:
        return f"{noun[:-1]}ies"
    return f"{noun}s"
