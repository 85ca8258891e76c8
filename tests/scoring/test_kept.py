from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from pruneproof.errors import PruneProofError
from pruneproof.scoring import kept

bits = arrays(bool, (4, 9))


def test_kept_bits_of_ragged_and_sliced_lists() -> None:
    lists = pa.array([[9], [0, 2], [], [3]], pa.list_(pa.int16())).slice(1)
    assert kept.kept_bits(lists, 4).astype(int).tolist() == [[1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize("index", [-1, 4])
def test_impossible_token_is_refused(index: int) -> None:
    with pytest.raises(PruneProofError, match="the backbone has 4 patches"):
        kept.kept_bits(pa.array([[0, index]], pa.list_(pa.int16())), 4)


def test_share_kept_by_hand() -> None:
    target = np.array([[1, 1, 0], [0, 0, 0], [1, 1, 1]], bool)
    chosen = np.array([[0, 1, 1], [1, 1, 1], [0, 0, 0]], bool)
    np.testing.assert_array_equal(kept.share_kept(chosen, target), [0.5, np.nan, np.nan])


@given(bits, bits)
def test_jaccard_is_a_symmetric_share_that_is_one_only_for_equal_sets(one: np.ndarray, other: np.ndarray) -> None:
    found = kept.jaccard(one, other)
    known = np.isfinite(found)
    assert (known == (one | other).any(1)).all()
    assert ((found[known] >= 0) & (found[known] <= 1)).all()
    assert ((found[known] == 1) == (one == other).all(1)[known]).all()
    np.testing.assert_array_equal(found, kept.jaccard(other, one))


@given(bits, bits)
def test_keeping_more_never_keeps_a_smaller_share(some: np.ndarray, more: np.ndarray) -> None:
    target = np.ones((4, 9), bool)
    few, many = kept.share_kept(some, target), kept.share_kept(some | more, target)
    known = np.isfinite(few)
    assert (many[known] >= few[known]).all()
