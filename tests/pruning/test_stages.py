"""Stages published for one depth, in models of another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.errors import PruneProofError
from pruneproof.pruning._stages import at_depth, require_stages, spread


@pytest.mark.parametrize(
    ("layers", "depth", "expected"),
    [
        ((8, 16, 24), 32, (8, 16, 24)),
        ((8, 16, 24), 40, (10, 20, 30)),
        ((8, 16, 24), 4, (1, 2, 3)),
        ((3, 7, 16), 32, (3, 7, 16)),
        ((3, 7, 16), 4, (1, 2, 3)),
        ((2,), 32, (2,)),
        ((2,), 4, (1,)),
        ((31,), 2, (1,)),
    ],
)
def test_stages_by_hand(layers: tuple[int, ...], depth: int, expected: tuple[int, ...]) -> None:
    assert at_depth(layers, 32, depth) == expected


@given(st.sets(st.integers(1, 31), min_size=1, max_size=6), st.integers(1, 80))
def test_stages_ascend_within_the_model_and_are_near_their_share(layers: set[int], depth: int) -> None:
    given_layers = sorted(layers)
    if len(given_layers) >= depth:
        with pytest.raises(PruneProofError, match="name fewer `layers`"):
            at_depth(given_layers, 32, depth)
        return
    found = at_depth(given_layers, 32, depth)
    assert list(found) == sorted(set(found))
    assert found[0] >= 1
    assert found[-1] < depth
    assert all(
        abs(got / depth - layer / 32) <= len(layers) / depth for got, layer in zip(found, given_layers, strict=True)
    )


def test_tokens_at_each_layer() -> None:
    assert spread((1, 3), (6, 2), 9, 5) == (9, 6, 6, 2, 2)


@pytest.mark.parametrize(
    ("layers", "keep", "message"),
    [
        ((8, 16), (0.5,), "one for each"),
        ((16, 8), (0.5, 0.25), "must ascend"),
        ((0,), (0.5,), "must ascend"),
        ((32,), (0.5,), "at most 31"),
        ((8, 16), (0.25, 0.5), "must not ascend"),
    ],
)
def test_stages_out_of_order_are_refused(layers: tuple[int, ...], keep: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        require_stages(layers, keep, 32)
