"""Occlusion: exact areas, worked by hand, and growth with severity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenery import disc, picture

from pruneproof.errors import PruneProofError
from pruneproof.perturbations.images import Mask, Picture, Pixels, perturb
from pruneproof.perturbations.images.occlusion import _interval
from pruneproof.seeds import generator

GREY = (128, 128, 128)


def covered(pixels: Pixels) -> Mask:
    """Where a picture that was black is no longer black."""
    result: Mask = (pixels != 0).any(axis=2)
    return result


def black(height: int, width: int, *masks: Mask) -> Picture:
    return Picture(np.zeros((height, width, 3), np.uint8), masks)


def rectangle(height: int, width: int, top: int, left: int, bottom: int, right: int) -> Mask:
    mask = np.zeros((height, width), np.bool_)
    mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize(("severity", "pixels"), [(1, 5018), (2, 10035), (3, 15053), (4, 20070), (5, 25088)])
def test_random_boxes_cover_a_tenth_of_the_image_more_per_severity(severity: int, pixels: int) -> None:
    result = perturb("occlusion_random", black(224, 224), severity, generator(severity))
    assert covered(result).sum() == pixels
    assert {tuple(pixel) for pixel in result[covered(result)]} == {GREY}


def test_random_boxes_leave_the_rest_as_it_was() -> None:
    original = picture(height=60, width=90)
    result = perturb("occlusion_random", original, 3, generator(1))
    changed = (result != original.pixels).any(axis=2)
    np.testing.assert_array_equal(result[changed], np.full((changed.sum(), 3), 128))
    assert changed.sum() == pytest.approx(0.3 * 60 * 90, abs=60)  # A pixel that was mid grey already does not change.


def test_sides_of_random_boxes_are_an_eighth_to_a_third_and_lie_inside() -> None:
    rng = generator("sides")
    intervals = [_interval(224, rng) for _ in range(2000)]
    assert {end - start for start, end in intervals} == set(range(28, 76))
    assert min(start for start, _ in intervals) == 0
    assert max(end for _, end in intervals) == 224


@pytest.mark.parametrize(("severity", "lines"), [(1, 3), (2, 6), (3, 9), (4, 12), (5, 15)])
def test_the_box_covers_whole_lines_of_a_square_object(severity: int, lines: int) -> None:
    # A 20 x 20 square: 0.15, 0.30 ... 0.75 of it are 3, 6, 9, 12 and 15 whole lines from one of its sides.
    square = rectangle(60, 60, 10, 25, 30, 45)
    box = covered(perturb("occlusion_object", black(60, 60, square), severity, generator(severity)))
    sides = {
        "left": rectangle(60, 60, 10, 25, 30, 25 + lines),
        "right": rectangle(60, 60, 10, 45 - lines, 30, 45),
        "top": rectangle(60, 60, 10, 25, 10 + lines, 45),
        "bottom": rectangle(60, 60, 30 - lines, 25, 30, 45),
    }
    assert any(np.array_equal(box, side) for side in sides.values())


def test_the_box_spans_the_bounding_box_of_a_ragged_object() -> None:
    # Columns 2 to 6 hold 1, 2, 3, 2 and 1 pixels of the plus-shaped object; 0.45 of its 9 asks for 5: columns 2 to 4
    # hold 6. The same from the other three sides by symmetry.
    diamond = np.zeros((9, 9), np.bool_)
    for column, rows in {2: [4], 3: [4, 3], 4: [3, 4, 5], 5: [4, 5], 6: [4]}.items():
        diamond[rows, column] = True
    expected = [rectangle(9, 9, 3, 2, 6, 5), rectangle(9, 9, 3, 4, 6, 7)]
    horizontal = [
        box
        for number in range(40)
        if (box := covered(perturb("occlusion_object", black(9, 9, diamond), 3, generator(number)))).any(0).sum() == 3
    ]
    assert horizontal
    assert all(any(np.array_equal(box, side) for side in expected) for box in horizontal)


def test_every_object_and_every_side_is_drawn() -> None:
    left, right = rectangle(40, 80, 10, 5, 30, 25), rectangle(40, 80, 10, 55, 30, 75)
    seen = {
        covered(perturb("occlusion_object", black(40, 80, left, right), 1, generator(number))).tobytes()
        for number in range(80)
    }
    assert len(seen) == 8


@pytest.mark.parametrize("masks", [(), (np.zeros((40, 40), np.bool_),)])
def test_an_image_without_a_visible_object_is_refused(masks: tuple[Mask, ...]) -> None:
    with pytest.raises(PruneProofError, match="needs an object's mask and the image has none"):
        perturb("occlusion_object", black(40, 40, *masks), 1, generator(0))


@settings(max_examples=40, deadline=None)
@given(st.integers(16, 80), st.integers(16, 80), st.integers(0, 2**32))
def test_covered_areas_grow_with_severity(height: int, width: int, seed: int) -> None:
    scene = black(height, width, disc(height, width))
    areas = [covered(perturb("occlusion_random", scene, s, generator(seed))).sum() for s in range(1, 6)]
    assert areas == [round(s / 10 * height * width) for s in range(1, 6)]
    boxes = [covered(perturb("occlusion_object", scene, s, generator(seed))) for s in range(1, 6)]
    shares = [(box & scene.masks[0]).sum() / scene.masks[0].sum() for box in boxes]
    assert shares == sorted(shares)
    for share, wanted in zip(shares, (0.15, 0.30, 0.45, 0.60, 0.75), strict=True):
        line = (2 * (min(height, width) // 4) + 1) / scene.masks[0].sum()
        assert wanted <= share < wanted + line
