"""ImageNet-C's noises, as `imagecorruptions.corruptions` (1.1.5) draws them: see `imagenet_c` and `_arithmetic`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from pruneproof.perturbations.images import Pixels
from pruneproof.perturbations.images._arithmetic import cut


def gaussian_noise(pixels: Pixels, severity: int, seed: int) -> Pixels:
    """Normal noise, as strong in the dark as in the light."""
    scale = (0.08, 0.12, 0.18, 0.26, 0.38)[severity - 1]
    noise = np.random.RandomState(seed).normal(scale=255 * scale, size=pixels.shape)
    return cut(np.add(noise, pixels, out=noise))


def shot_noise(pixels: Pixels, severity: int, seed: int) -> Pixels:
    """As few photons as a dark room has."""
    white = (60, 25, 12, 5, 3)[severity - 1]
    expected = (np.arange(256) / 255.0 * white)[pixels]
    counts = np.random.RandomState(seed).poisson(expected)
    return cut(np.arange(white + 1) * 255 / white).take(counts, mode="clip")


def impulse_noise(pixels: Pixels, severity: int, seed: int) -> Pixels:
    """Salt and pepper, drawn as `skimage.util.random_noise` draws them."""
    share = (0.03, 0.06, 0.09, 0.17, 0.27)[severity - 1]
    rng = np.random.default_rng(seed)
    changed, salt = (rng.random(pixels.shape) <= limit for limit in (share, 0.5))
    return np.where(changed, salt.astype(np.uint8) * np.uint8(255), pixels)


def speckle_noise(pixels: Pixels, severity: int, seed: int) -> Pixels:
    """Normal noise in proportion to the light."""
    scale = (0.15, 0.2, 0.35, 0.45, 0.6)[severity - 1]
    noise = np.random.RandomState(seed).normal(loc=1, scale=scale, size=pixels.shape)
    return cut(np.multiply(noise, pixels, out=noise))


CORRUPTIONS: Mapping[str, Callable[[Pixels, int, int], Pixels]] = {
    function.__name__: function for function in (gaussian_noise, shot_noise, impulse_noise, speckle_noise)
}
"""By name; each takes pixels, severity and seed."""
