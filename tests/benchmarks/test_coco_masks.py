"""COCO's segmentations, worked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.benchmarks._coco_masks import mask_of


def drawn(rows: str) -> np.ndarray[Any, Any]:
    return np.array([[mark == "#" for mark in row] for row in rows.split()])


def test_a_rectangle_covers_the_pixels_between_its_edges() -> None:
    mask = mask_of([[1, 1, 4, 1, 4, 3, 1, 3]], 5, 4)
    assert np.array_equal(mask, drawn("..... .###. .###. ....."))


def test_a_pixel_belongs_to_a_polygon_that_holds_its_centre() -> None:
    assert np.array_equal(mask_of([[0.4, 0.4, 2.6, 0.4, 2.6, 1.6, 0.4, 1.6]], 4, 3), drawn("###. ###. ...."))
    assert np.array_equal(mask_of([[0.6, 0.6, 2.4, 0.6, 2.4, 1.6, 0.6, 1.6]], 4, 3), drawn(".... .#.. ...."))
    assert np.array_equal(mask_of([[0, 0, 4, 0, 0, 4]], 4, 4), drawn("###. ##.. #... ...."))


def test_parts_are_united_and_what_lies_outside_the_picture_is_cut_off() -> None:
    parts = [[-5, -5, 1, -5, 1, 9, -5, 9], [3, 1, 9, 1, 9, 2, 3, 2]]
    assert np.array_equal(mask_of(parts, 4, 3), drawn("#... #..# #..."))


def test_runs_go_down_the_columns_and_begin_outside() -> None:
    runs = {"counts": [1, 3, 2, 1, 2], "size": [3, 3]}
    # column 0: outside, inside, inside; column 1: inside, outside, outside; column 2: inside, outside, outside
    assert np.array_equal(mask_of(runs, 3, 3), drawn(".## #.. #.."))


@pytest.mark.parametrize(
    ("segmentation", "said"),
    [
        (None, "should be a list of polygons"),
        ([], "should be a list of polygons"),
        ([[1, 2, 3, 4]], "polygons of three or more points"),
        ([[1, 2, 3, 4, 5, 6, 7]], "polygons of three or more points"),
        ([[1, 2, 3, 4, 5, "6"]], "polygons of three or more points"),
        ([[1, 2, 3, 4, 5, float("nan")]], "polygons of three or more points"),
        ({"counts": [12], "size": [4, 3]}, r"the size \[3, 4\] of its picture, not \[4, 3\]"),
        ({"counts": [13], "size": [3, 4]}, "runs of 12 pixels in all, not 13"),
        ({"counts": "abc", "size": [3, 4]}, "a list of whole numbers"),
        ({"counts": [13, -1], "size": [3, 4]}, "a list of whole numbers"),
    ],
)
def test_what_is_no_segmentation_is_said(segmentation: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        mask_of(segmentation, 4, 3)


@given(
    st.lists(st.tuples(st.floats(-5, 25), st.floats(-5, 20)), min_size=3, max_size=8),
)
def test_every_centre_is_in_or_out_as_a_ray_from_it_says(corners: list[tuple[float, float]]) -> None:
    mask = mask_of([[value for corner in corners for value in corner]], 20, 15)
    for row in range(15):
        for column in range(20):
            x, y = column + 0.5, row + 0.5
            crossed = 0
            for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
                if (y0 <= y) != (y1 <= y):
                    crossed += x0 + (y - y0) * ((x1 - x0) / (y1 - y0)) <= x
            assert mask[row, column] == bool(crossed % 2)
