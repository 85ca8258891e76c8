"""Single steps of corruptions, equal to the package's own functions to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from imagecorruptions import corruptions

from pruneproof.perturbations.images._blurs import shuffled
from pruneproof.perturbations.images._weather import _plasma


@pytest.mark.parametrize(("reach", "rounds"), [(1, 2), (2, 1), (2, 3), (3, 2), (4, 2)])
def test_shuffled_is_what_the_packages_loop_leaves(reach: int, rounds: int) -> None:
    for number, (height, width) in enumerate([(32, 32), (33, 70), (96, 41)]):
        image = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
        before = image.copy()
        found = shuffled(image, reach, rounds, seed=2**32 - 1 - number)
        np.testing.assert_array_equal(image, before)
        constants = (0.0, reach, rounds)
        expected = corruptions._shuffle_pixels_njit_glass_blur(height, width, image, constants, 2**32 - 1 - number)
        np.testing.assert_array_equal(found, expected)
        assert (found != before).any()


@pytest.mark.parametrize("decay", [1.4, 1.7, 2])
def test_plasma_is_the_packages_fractal(decay: float) -> None:
    for side in (32, 64, 256):
        np.random.seed(side)
        expected = corruptions.plasma_fractal(side, decay)
        np.testing.assert_array_equal(_plasma(side, decay, np.random.RandomState(side)), expected)
