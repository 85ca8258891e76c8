from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pruneproof.backbones.language.generation import even_parts


@given(st.integers(0, 200), st.integers(1, 40))
def test_even_parts_cover_everything_once(count: int, most: int) -> None:
    sizes = [len(range(count)[part]) for part in even_parts(count, most)]
    assert [i for part in even_parts(count, most) for i in range(count)[part]] == list(range(count))
    assert all(1 <= size <= most for size in sizes)
    assert not sizes or max(sizes) - min(sizes) <= 1
    assert len(sizes) == -(-count // most)
