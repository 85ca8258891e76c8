"""Pixel shift: by hand, and its invariants."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenery import picture

from pruneproof.perturbations.images import Picture, perturb
from pruneproof.perturbations.images.pixel_shift import DIRECTIONS
from pruneproof.seeds import generator


class Drawing:
    """A generator that draws the direction asked for."""

    def __init__(self, number: int) -> None:
        self.number = number

    def integers(self, stop: int) -> int:
        assert stop == len(DIRECTIONS)
        return self.number


@pytest.mark.parametrize(
    ("direction", "expected"),
    [
        (0, [[1, 1, 1, 2], [5, 5, 5, 6], [9, 9, 9, 10]]),
        (1, [[3, 4, 4, 4], [7, 8, 8, 8], [11, 12, 12, 12]]),
        (2, [[1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4]]),
        (3, [[9, 10, 11, 12], [9, 10, 11, 12], [9, 10, 11, 12]]),
    ],
)
def test_two_pixels_to_the_right_left_bottom_and_top(direction: int, expected: list[list[int]]) -> None:
    pixels = np.repeat(np.arange(1, 13, dtype=np.uint8).reshape(3, 4, 1), 3, axis=2)
    shifted = perturb("pixel_shift", Picture(pixels), 2, Drawing(direction))  # type: ignore[arg-type]
    np.testing.assert_array_equal(shifted, np.repeat(np.array(expected)[..., None], 3, axis=2))


@given(severity=st.integers(1, 5), height=st.integers(1, 40), width=st.integers(1, 40), number=st.integers(0, 99))
def test_whatever_stays_in_the_picture_is_unchanged_and_nothing_new_appears(
    severity: int, height: int, width: int, number: int
) -> None:
    before = picture(number, height, width)
    after = perturb("pixel_shift", before, severity, generator(number))

    def overlap(size: int, step: int) -> tuple[slice, slice]:
        """Where the content that stays is afterwards, and where it was; empty if all of it has left."""
        stays = max(0, size - abs(step))
        return slice(max(0, step), max(0, step) + stays), slice(max(0, -step), max(0, -step) + stays)

    kept = []
    for down, right in DIRECTIONS:
        (rows, old_rows), (columns, old_columns) = overlap(height, severity * down), overlap(width, severity * right)
        kept.append(np.array_equal(after[rows, columns], before.pixels[old_rows, old_columns]))
    assert any(kept)
    colours = {tuple(colour) for colour in before.pixels.reshape(-1, 3).tolist()}
    assert {tuple(colour) for colour in after.reshape(-1, 3).tolist()} <= colours


def test_all_four_directions_are_drawn() -> None:
    results = {perturb("pixel_shift", picture(), 1, generator(number)).tobytes() for number in range(40)}
    assert len(results) == 4
