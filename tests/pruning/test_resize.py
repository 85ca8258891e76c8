"""The side of the smaller picture, worked by hand and against trying every side."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pruning._made_up import shares

from pruneproof.pruning import kept_count
from pruneproof.pruning.resize import Settings, build


@pytest.mark.parametrize(
    ("keep", "full", "side"),
    [
        (0.25, 16, 8),
        (0.6, 16, 12),  # 154 wanted: 144 is 10 away, 169 is 15 away
        (1.0, 16, 16),
        (0.001, 16, 1),
        ("llava15_192", 24, 14),  # 192 wanted: 196 is 4 away, 169 is 23 away
        ("llava15_128", 24, 11),
        ("llava15_64", 24, 8),
    ],
)
def test_by_hand(keep: float | str, full: int, side: int) -> None:
    method = build(Settings.model_validate({"keep": keep}))
    assert method.side(full) == side
    assert method.budget(full**2, 2) == (side**2, side**2)
    assert method.door == "input"


@given(keep=shares, full=st.integers(1, 40))
def test_no_other_square_is_nearer(keep: float, full: int) -> None:
    wanted = kept_count(keep, full**2)
    assert build(Settings(keep=keep)).side(full) == min(
        range(1, full + 1), key=lambda side: (abs(side**2 - wanted), side)
    )
