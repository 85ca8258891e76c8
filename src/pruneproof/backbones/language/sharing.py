"""What is read together: questions that see the same tokens of the same image share one reading of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from pruneproof.backbones import Shown
from pruneproof.backbones.language.generation import Generated, even_parts


class Language(Protocol):
    """A language model whose prompts begin with embeddings."""

    def continue_shared(
        self, prefixes: Tensor, suffixes: Sequence[Sequence[Sequence[int]]], longest: int, together: int, /
    ) -> list[list[Generated]]:
        """Answer several prompts for each of the beginnings [B, P, D]."""
        ...

    def continue_each(self, prefixes: Tensor, suffixes: Sequence[Sequence[int]], longest: int, /) -> list[Generated]:
        """Answer one prompt for each of the beginnings [B, P, D]."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What some questions see, all of them before their own words."""

    shown: Shown
    asked: tuple[int, ...]
    """Numbers of the questions."""


Start = Callable[[Sequence[Reading]], tuple[Language, Tensor]]
"""Readings of one length -> the language model that reads them, and the beginnings of their prompts [B, P, D]."""


def readings(shown: Sequence[Shown], befores: Sequence[Hashable] = ()) -> list[Reading]:
    """Group questions by what they see.

    Args:
        shown: one for each question; the same object for those that see the same.
        befores: what each prompt says before the image, where that may differ.

    Returns:
        Readings in the order of their first questions.
    """
    found: dict[Hashable, list[int]] = {}
    for i, one in enumerate(shown):
        found.setdefault((id(one), befores[i] if befores else None), []).append(i)
    return [Reading(shown[own[0]], tuple(own)) for own in found.values()]


def continued(
    readings: Iterable[Reading], start: Start, suffixes: Sequence[Sequence[int]], longest: int, rows: int
) -> Mapping[int, Generated]:
    """Answer all questions of some readings.

    Args:
        readings: whose beginnings have one length.
        start: makes the beginnings of some of them.
        suffixes: by number of question, the tokens that follow what it sees.
        longest: at least 1 new token.
        rows: most readings at once. Packed questions cost no image each, so that twice as many fit into each row.

    Returns:
        By number of question.
    """
    ordered = sorted(readings, key=lambda reading: sum(len(suffixes[i]) for i in reading.asked))
    single = [reading for reading in ordered if len(reading.asked) == 1]
    several = [reading for reading in ordered if len(reading.asked) > 1]
    found: dict[int, Generated] = {}
    for part in even_parts(len(single), rows):
        language, prefixes = start(single[part])
        asked = [reading.asked[0] for reading in single[part]]
        found |= zip(asked, language.continue_each(prefixes, [suffixes[i] for i in asked], longest), strict=True)
    for part in even_parts(len(several), rows):
        language, prefixes = start(several[part])
        packed = [[suffixes[i] for i in reading.asked] for reading in several[part]]
        for reading, row in zip(
            several[part], language.continue_shared(prefixes, packed, longest, 2 * rows), strict=True
        ):
            found |= zip(reading.asked, row, strict=True)
    return found
