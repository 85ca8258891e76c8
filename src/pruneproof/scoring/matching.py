"""Finding the names of a closed vocabulary in free text, longest name first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pruneproof.errors import PruneProofError
from pruneproof.wording import words

SurfaceForms = Mapping[tuple[str, ...], str]
"""Words of a surface form -> the class it names: `("traffic", "lights")` -> `traffic light`."""


def _names(text: str) -> list[str]:
    """Words without the 's of a possessive: the door of 'the car's door' belongs to a car that is mentioned."""
    return [word.removesuffix("'s") for word in words(text)]


def surface_forms(vocabulary: Mapping[str, Sequence[str]]) -> SurfaceForms:
    """Index a vocabulary by its surface forms; the name of a class counts as one of its forms.

    Args:
        vocabulary: class -> surface forms, plurals included, such as `{"bus": ("bus", "buses", "coach")}`.

    Raises:
        PruneProofError: if one form names two classes, or holds no word.
    """
    forms: dict[tuple[str, ...], str] = {}
    for name, written in vocabulary.items():
        for form in (name, *written):
            key = tuple(_names(form))
            if not key:
                raise PruneProofError(f"vocabulary: form {form!r} of {name!r} holds no word; remove it")
            if forms.setdefault(key, name) != name:
                raise PruneProofError(f"vocabulary: {form!r} names both {forms[key]!r} and {name!r}; give it to one")
    return forms


def mentions(text: str, forms: SurfaceForms) -> list[str]:
    """Classes mentioned in a text, in order and with repeats.

    Left to right, and at each word the longest form wins, so that 'traffic light' is not read as 'light': the greedy
    merge of the official CHAIR code (LisaAnne/Hallucination, `utils/chair.py::CHAIR.caption_to_words`), which stops
    at two words. That code singularises words with the `pattern` package; here the vocabulary lists the plurals.
    """
    names = _names(text)
    longest = max(map(len, forms), default=0)
    found: list[str] = []
    position = 0
    while position < len(names):
        for length in range(min(longest, len(names) - position), 0, -1):
            name = forms.get(tuple(names[position : position + length]))
            if name is not None:
                found.append(name)
                position += length
                break
        else:
            position += 1
    return found
