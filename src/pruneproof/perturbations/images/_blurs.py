"""ImageNet-C's blurs, as `imagecorruptions.corruptions` (1.1.5) computes them: see `imagenet_c` and `_arithmetic`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import cv2
import numpy as np

from pruneproof.perturbations.images import Pixels
from pruneproof.perturbations.images._arithmetic import (
    Floats,
    cut,
    enlarging,
    resized_and_turned,
    smoothed,
    streaked,
    turned,
)


def defocus_blur(pixels: Pixels, severity: int, seed: int) -> Pixels:
    """Every point becomes a disc."""
    kernel = _disc(*((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))[severity - 1])
    return cut(np.asarray(cv2.filter2D(pixels.astype(np.float64), -1, kernel), np.float64))


@cache
def _disc(radius: int, edge: float) -> Floats:
    """A disc whose edge is blurred a little, in double precision; the package's own is single."""
    reach = max(8, radius)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = (rows**2 + columns**2 <= radius**2).astype(np.float64)
    side = 3 if radius <= 8 else 5
    return np.asarray(cv2.GaussianBlur(disc / disc.sum(), (side, side), sigmaX=edge), np.float64)


def glass_blur(pixels: Pixels, severity: int, seed: int) -> Pixels:
    """Blurred, cut to grey levels, shuffled within a few pixels and blurred again.

    Where nothing changes, a blur gives back the grey level itself or one unit in the last place less, so that the
    package's two cuts lose no, one or two grey levels by chance. Here the first loses none and the second always one:
    no processor's package is more than one level away.
    """
    sigma, reach, rounds = ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2))[severity - 1]
    blurred = cut(smoothed(pixels.astype(np.float64), sigma))
    return cut(smoothed(shuffled(blurred, reach, rounds, seed).astype(np.float64), sigma) - 255e-8)


def shuffled(pixels: Pixels, reach: int, rounds: int, seed: int) -> Pixels:
    """What the package's loop leaves: from the last pixel to the first, each takes the colour that a pixel up to
    `reach` away has at that moment.

    (The loop means to swap the two, but they are views of one array.) All pixels are worked out at once: a source that
    was visited earlier shows what it took itself, from its own source, and so on to a pixel with its colour from the
    start. Every step of such a chain is taken by all pixels together, and doubles its length.
    """
    height, width, channels = pixels.shape
    visited = (slice(reach + 1, height - reach + 1), slice(reach + 1, width - reach + 1))
    own = np.arange(height * width, dtype=np.int32).reshape(height, width)
    shown = own.ravel()
    rng = np.random.RandomState(seed)
    for _ in range(rounds):
        drawn = rng.randint(-reach, reach, size=(*own[visited].shape, 2)).astype(np.int32)[::-1, ::-1]
        step = drawn[..., 1] * np.int32(width) + drawn[..., 0]
        # Where a pixel's colour comes from, and whether the one that is there has taken another in this round.
        source, earlier = own.ravel().copy(), np.zeros(height * width, np.bool_)
        source.reshape(height, width)[visited] += step
        earlier.reshape(height, width)[visited] = step > 0
        pending = np.flatnonzero(earlier)
        while pending.size:
            through = source.take(pending)
            still = earlier.take(through)
            source[pending], earlier[pending] = source.take(through), still
            pending = pending[still]
        shown = shown.take(source)
    return pixels.reshape(-1, channels).take(shown, axis=0).reshape(pixels.shape)


def motion_blur(pixels: Pixels, severity: int, seed: int) -> Pixels:
    """Every point becomes a line, at an angle drawn within 45 degrees of the horizontal."""
    radius, sigma = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))[severity - 1]
    return cut(streaked(pixels.astype(np.float64), radius, sigma, np.random.RandomState(seed).uniform(-45, 45)))


def zoom_blur(pixels: Pixels, severity: int, seed: int) -> Pixels:
    """The mean of the picture and of itself at several enlargements."""
    count, step = ((12, 0.01), (16, 0.01), (11, 0.02), (13, 0.02), (11, 0.03))[severity - 1]
    # The last place of a factor can decide a layer's size in pixels: these are `np.arange`'s, one operation at a time,
    # so that no compiler fuses them.
    factors = 1 + np.arange(count) * ((1 + step) - 1)
    height, width, _ = pixels.shape
    image = pixels.astype(np.float64)
    total = turned(image)
    for factor in factors.tolist():
        layer = resized_and_turned(image, enlarging(height, factor, height), enlarging(width, factor, width))
        total[: layer.shape[0], : layer.shape[1]] += layer
    return cut(turned(total) / (count + 1))


def gaussian_blur(pixels: Pixels, severity: int, seed: int) -> Pixels:
    """Every point becomes a normal distribution."""
    return cut(smoothed(pixels.astype(np.float64), (1, 2, 3, 4, 6)[severity - 1]))


CORRUPTIONS: Mapping[str, Callable[[Pixels, int, int], Pixels]] = {
    function.__name__: function for function in (defocus_blur, glass_blur, motion_blur, zoom_blur, gaussian_blur)
}
"""By name; each takes pixels, severity and seed."""
