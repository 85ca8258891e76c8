from __future__ import annotations

import hashlib

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from pruneproof.seeds import generator, seed_of

part = st.one_of(st.integers(), st.text(st.characters(exclude_characters="\x1f")))


def test_seed_is_the_first_eight_bytes_of_a_sha256() -> None:
    expected = hashlib.sha256(b"2026\x1fscene_1\x1ffog\x1f3").digest()[:8]
    assert seed_of(2026, "scene_1", "fog", 3).to_bytes(8, "big") == expected


def test_neighbouring_parts_do_not_run_together() -> None:
    assert len({seed_of("a", "bc"), seed_of("ab", "c"), seed_of("abc"), seed_of("a", "b", "c")}) == 4


@given(st.lists(part, min_size=1, max_size=4))
@example(["\ud800"])
def test_same_parts_give_the_same_stream(parts: list[str | int]) -> None:
    assert 0 <= seed_of(*parts) < 2**64
    assert np.array_equal(generator(*parts).integers(0, 1 << 60, 8), generator(*parts).integers(0, 1 << 60, 8))


def test_a_stream_does_not_depend_on_the_global_state() -> None:
    np.random.seed(1)
    first = generator("x", 1).random(4)
    np.random.seed(2)
    np.random.random(100)
    assert np.array_equal(first, generator("x", 1).random(4))
