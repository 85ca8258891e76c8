"""Lessons one after the other on one image, as in a conversation: each sees the earlier ones with their answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

from pruneproof.training.corpus import Lesson

Dialogue: TypeAlias = tuple[Lesson, ...]
"""Lessons in the order of their turns."""

MOST_TURNS = 4


def alone(lessons: Iterable[Lesson]) -> list[Dialogue]:
    """Every lesson as a dialogue of its own."""
    return [(lesson,) for lesson in lessons]


def cut(lessons: Sequence[Lesson], rng: np.random.Generator) -> list[Dialogue]:
    """Lessons of one image in random order, cut into dialogues of one to `MOST_TURNS` turns, all lengths alike."""
    waiting = [lessons[i] for i in rng.permutation(len(lessons))]
    found: list[Dialogue] = []
    while waiting:
        length = int(rng.integers(1, MOST_TURNS + 1))
        found.append(tuple(waiting[:length]))
        waiting = waiting[length:]
    return found
