"""What the corruptions share, against scikit-image and the package's own functions."""

from __future__ import annotations

from itertools import product

import cv2
import numpy as np
import pytest
from imagecorruptions import corruptions
from scenery import pixels
from skimage.filters import gaussian

from pruneproof.perturbations.images._arithmetic import cut, enlarging, resized, smoothed, streaked

IMAGE = pixels(1, 45, 60).astype(np.float64)


@pytest.mark.parametrize("sigma", [0.7, 1.5, 6.0])
def test_smoothed_is_scikit_images_blur(sigma: float) -> None:
    np.testing.assert_allclose(smoothed(IMAGE, sigma), gaussian(IMAGE, sigma, channel_axis=-1), atol=1e-9)


def test_smoothed_takes_a_sigma_for_each_axis_and_another_edge() -> None:
    expected = gaussian(IMAGE[..., 0], (0.9, 4.0), mode="reflect", truncate=3)
    found = smoothed(IMAGE[..., 0], (0.9, 4.0), truncate=3, border=cv2.BORDER_REFLECT)
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize(("radius", "sigma"), [(10, 3), (20, 15)])
def test_streaked_is_the_packages_motion_blur_even_where_it_leaves_the_picture(radius: int, sigma: int) -> None:
    for angle, height in product((-135.0, -91.0, -45.0, 0.0, 30.0, 44.9), (32, 45)):
        expected = corruptions._motion_blur(IMAGE[:height], radius, sigma, angle)
        np.testing.assert_allclose(streaked(IMAGE[:height], radius, sigma, angle), expected, atol=1e-9)


def test_resized_is_the_packages_enlargement_for_every_size() -> None:
    """Where the last place of a coordinate falls outside the picture, scipy leaves a black line; so must this."""
    rng = np.random.default_rng(0)
    for height, width in [(32, 33), (48, 51), (61, 97), (100, 64), (75, 130)]:
        image = rng.random((height, width, 1))
        for factor in (*np.arange(1, 1.31, 0.01), 2, 2.5, 3, 4, 4.5):
            expected = corruptions.clipped_zoom(image, factor)[..., 0]
            found = resized(image[..., 0], enlarging(height, factor), enlarging(width, factor))
            np.testing.assert_allclose(found, expected, atol=1e-12)


def test_an_enlargement_may_be_cut_short() -> None:
    whole = resized(IMAGE, enlarging(45, 1.3), enlarging(60, 1.3))
    assert whole.shape == (46, 61, 3)
    np.testing.assert_array_equal(resized(IMAGE, enlarging(45, 1.3, 45), enlarging(60, 1.3, 60)), whole[:45, :60])


def test_cut_keeps_whole_numbers_and_brings_in_what_lies_outside() -> None:
    whole = np.arange(256.0)
    for values in (whole, whole - 1e-10, whole + 1e-10):
        np.testing.assert_array_equal(cut(values), np.arange(256))
    np.testing.assert_array_equal(cut(np.array([-3.0, -0.2, 3.7, 255.9, 300.0])), [0, 0, 3, 255, 255])
