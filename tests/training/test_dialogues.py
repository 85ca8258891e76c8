from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.training.corpus import Lesson
from pruneproof.training.dialogues import MOST_TURNS, cut


@given(st.integers(0, 30), st.integers(0, 100))
def test_every_lesson_stands_in_one_dialogue(count: int, seed: int) -> None:
    lessons = [Lesson("count", f"question {i}", str(i)) for i in range(count)]
    dialogues = cut(lessons, np.random.default_rng(seed))
    assert Counter(lesson for dialogue in dialogues for lesson in dialogue) == Counter(lessons)
    assert all(1 <= len(dialogue) <= MOST_TURNS for dialogue in dialogues)


def test_all_lengths_occur() -> None:
    lessons = [Lesson("count", f"question {i}", str(i)) for i in range(200)]
    lengths = {len(dialogue) for dialogue in cut(lessons, np.random.default_rng(0))}
    assert lengths == set(range(1, MOST_TURNS + 1))
