"""CS(k) against all subsets, one after the other."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.scoring.consensus import consensus


def by_subsets(marks: list[float], k: int) -> float:
    subsets = list(combinations(marks, k))
    return sum(all(mark > 0 for mark in subset) for subset in subsets) / len(subsets)


def test_by_hand() -> None:
    marks = np.array([[1, 0.3, 0, 1, 0, 0, 0, 0]])
    group = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    found = [consensus(marks, group, k) for k in (1, 2, 3, 4)]
    assert [a.tolist() for a, _ in found] == [[[3 / 4, 0]], [[3 / 6, 0]], [[1 / 4, 0]], [[0, 0]]]
    assert all(b.tolist() == [[1, 1]] for _, b in found)


def test_groups_without_all_wordings_do_not_count() -> None:
    marks = np.array([[1, 1, np.nan, 1], [1, 1, 1, 1]])
    numerator, denominator = consensus(marks, np.zeros(4, int), 2)
    assert denominator.tolist() == [[0], [1]]
    assert numerator.tolist() == [[0], [1]]


groups = st.lists(st.lists(st.sampled_from([0, 0.3, 1.0]), min_size=4, max_size=6), min_size=1, max_size=5)


@given(groups, st.integers(1, 4))
def test_is_the_share_of_right_subsets(rows: list[list[float]], k: int) -> None:
    marks = np.array([[mark for row in rows for mark in row]])
    group = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    numerator, denominator = consensus(marks, group, k)
    assert numerator[0].tolist() == pytest.approx([by_subsets(row, k) for row in rows])
    assert denominator.min() == 1
    assert np.all(consensus(marks, group, k + 1, fewest=4)[0] <= numerator + 1e-12)
