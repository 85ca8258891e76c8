"""The corruptions as `imagecorruptions` computes them, step by step, in double precision and with a steady cut: what
the faster functions of `pruneproof.perturbations.images` are compared with, byte for byte.

What the package offers for a step (its resizing, shuffling, streaks and fractals, and twelve corruptions as a whole) is
called and not restated. Random numbers are drawn from NumPy's global state, as there.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest import mock

import cv2
import numpy as np
from imagecorruptions import corruptions
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import map_coordinates
from skimage import filters

from pruneproof.perturbations.images import Pixels

Floats = NDArray[np.float64]

DECIMALS = 6
"""Far above the errors of double precision (1e-12 of a grey level), far below what an eye or a model could tell."""


def corrupted(name: str, pixels: Pixels, severity: int, seed: int) -> Pixels:
    """A picture corrupted as the package does it, within a grey level, and the same on every processor."""
    np.random.seed(seed)
    if name in RESTATED:
        return cut(RESTATED[name](pixels, severity, seed))
    options = {"seed": seed} if name == "impulse_noise" else {}
    # Not `imagecorruptions.corrupt`, which cuts at once.
    return cut(np.asarray(getattr(corruptions, name)(Image.fromarray(pixels), severity, **options), np.float64))


def cut(values: Floats) -> Pixels:
    """Whole grey levels from values in 0 to 255, by cutting as the package does, but steadily."""
    return np.round(values, DECIMALS).astype(np.uint8)


def _in_range(values: Floats) -> Floats:
    """From 0 to 1 to grey levels, not yet cut; what lies outside is brought in."""
    levels: Floats = np.clip(values, 0, 1) * 255
    return levels


def _gaussian(values: Floats, sigma: float | Floats, **options: Any) -> Floats:
    blurred: Floats = filters.gaussian(values, sigma=sigma, **options)  # type: ignore[no-untyped-call]
    return blurred


def defocus_blur(pixels: Pixels, severity: int, seed: int) -> Floats:
    """A disc-shaped kernel of double precision; the package's own is single."""
    radius, alias_blur = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))[severity - 1]
    kernel = corruptions.disk(radius, alias_blur, np.float64)
    return _in_range(np.asarray(cv2.filter2D(pixels / 255.0, -1, kernel), np.float64))


def glass_blur(pixels: Pixels, severity: int, seed: int) -> Floats:
    """Blurred, cut to grey levels, shuffled within a few pixels and blurred again.

    Where nothing changes, a blur gives back the grey level itself or one unit in the last place less, so that the
    package's two cuts lose no, one or two grey levels by chance. Here the first loses none and the second always one:
    no processor's package is more than one level away.
    """
    sigma, reach, rounds = ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2))[severity - 1]
    blurred = cut(255 * _gaussian(pixels / 255.0, sigma=sigma, channel_axis=-1))
    height, width, _ = pixels.shape
    shuffled = corruptions._shuffle_pixels_njit_glass_blur(height, width, blurred, (sigma, reach, rounds), seed)
    blurred_again = _gaussian(shuffled / 255.0, sigma=sigma, channel_axis=-1)
    return _in_range(blurred_again - 1e-8)


def zoom_blur(pixels: Pixels, severity: int, seed: int) -> Floats:
    """The mean of the picture and of itself at several enlargements."""
    count, step = ((12, 0.01), (16, 0.01), (11, 0.02), (13, 0.02), (11, 0.03))[severity - 1]
    # The last place of a factor can decide a layer's size in pixels: these are `np.arange`'s, one operation at a time,
    # so that no compiler fuses them.
    factors = 1 + np.arange(count) * ((1 + step) - 1)
    height, width, _ = pixels.shape
    image = pixels / 255.0
    total = image.copy()
    for factor in factors:
        layer = corruptions.clipped_zoom(image, factor)[:height, :width]
        total[: layer.shape[0], : layer.shape[1]] += layer
    return _in_range(total / (count + 1))


def snow(pixels: Pixels, severity: int, seed: int) -> Floats:
    """Streaks over a whitened picture."""
    mean, deviation, zoom, least, radius, sigma, kept = (
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    )[severity - 1]
    height, width, _ = pixels.shape
    flakes = np.random.normal(size=(height, width), loc=mean, scale=deviation)
    flakes = corruptions.clipped_zoom(flakes[..., np.newaxis], zoom)[..., 0]
    flakes[flakes < least] = 0
    angle = np.random.uniform(-135, -45)
    streaks = corruptions._motion_blur(np.clip(flakes, 0, 1), radius=radius, sigma=sigma, angle=angle)
    streaks = np.round(streaks * 255)[:height, :width, np.newaxis] / 255
    image = pixels / 255.0
    grey = 0.299 * image[..., :1] + 0.587 * image[..., 1:2] + 0.114 * image[..., 2:]
    image = kept * image + (1 - kept) * np.maximum(image, grey * 1.5 + 0.5)
    return _in_range(image + streaks + np.rot90(streaks, k=2))


def frost(pixels: Pixels, severity: int, seed: int) -> Floats:
    """A part of one of six photographs of frost, mixed in."""
    of_picture, of_frost = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))[severity - 1]
    texture = _frost_texture(int(np.random.randint(6)))
    wanted, given = pixels.shape[:2], texture.shape[:2]
    # Enlarged only as far as the picture needs, and then by a tenth more, as in the package.
    factor = 1.1 * max(1, *(side / own for side, own in zip(wanted, given, strict=True)))
    enlarged = [int(np.ceil(side * factor)) for side in given]
    top, left = (int(np.random.randint(0, large - side)) for large, side in zip(enlarged, wanted, strict=True))
    rows, row_weights = _cubic_taps(given[0], enlarged[0], top, wanted[0])
    columns, column_weights = _cubic_taps(given[1], enlarged[1], left, wanted[1])
    texture = texture[:, columns.min() : columns.max() + 1]
    tall = _weighted([texture[taps].astype(np.float64) for taps in rows], row_weights[..., np.newaxis, np.newaxis])
    part = _weighted([tall[:, taps] for taps in columns - columns.min()], column_weights[:, np.newaxis, :, np.newaxis])
    return np.clip(of_picture * pixels + of_frost * np.clip(np.round(part, DECIMALS).round(), 0, 255), 0, 255)


@cache
def _frost_texture(number: int) -> Pixels:
    """One of the package's photographs, (height, width, 3)."""
    name = f"frost{number + 1}.{'png' if number < 3 else 'jpg'}"
    with importlib.resources.as_file(importlib.resources.files("imagecorruptions") / "frost" / name) as path:
        return np.asarray(Image.open(path).convert("RGB"))


def _cubic_taps(given: int, wanted: int, start: int, count: int) -> tuple[NDArray[np.intp], Floats]:
    """Cubic interpolation along one axis, as OpenCV's `INTER_CUBIC` does it (a = -0.75, the edge repeated).

    Args:
        given: length of what is resized.
        wanted: length that it would have as a whole.
        start: first position of the part that is wanted.
        count: length of that part.

    Returns:
        Indices of the four pixels that each position mixes, and their weights, both (4, count).
    """
    places = (np.arange(start, start + count) + 0.5) * (given / wanted) - 0.5
    first = np.floor(places)
    x, a = places - first, -0.75
    before = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a
    left = ((a + 2) * x - (a + 3)) * x * x + 1
    right = ((a + 2) * (1 - x) - (a + 3)) * (1 - x) * (1 - x) + 1
    weights = np.stack([before, left, right, 1 - before - left - right])
    return np.clip(first.astype(np.intp) + np.arange(-1, 3)[:, np.newaxis], 0, given - 1), weights


def _weighted(parts: list[Floats], weights: Floats) -> Floats:
    """The weighted sum, added up in the order given: a matrix product's order is the processor's."""
    total = np.zeros_like(parts[0])
    for part, weight in zip(parts, weights, strict=True):
        total += part * weight
    return total


def elastic_transform(pixels: Pixels, severity: int, seed: int) -> Floats:
    """Every pixel moved along a smooth random field."""
    height, width, _ = pixels.shape
    strength = 250 * (0.05, 0.065, 0.085, 0.1, 0.12)[severity - 1]
    furthest, sigma = height * 0.005, np.array([height, width]) * 0.01
    right, down = (
        strength
        * _gaussian(np.random.uniform(-furthest, furthest, size=(height, width)), sigma, mode="reflect", truncate=3)
        for _ in range(2)
    )
    rows, columns = np.mgrid[:height, :width]
    image = pixels / 255.0
    channels = [
        map_coordinates(image[..., channel], (rows + down, columns + right), order=1, mode="reflect")
        for channel in range(3)
    ]
    return _in_range(np.stack(channels, axis=-1))


def spatter(pixels: Pixels, severity: int, seed: int) -> Floats:
    """Drops of water on the lens (severities 1 to 3), or of mud."""
    mean, deviation, sigma, least, strength = (
        (0.65, 0.3, 4, 0.69, 0.6),
        (0.65, 0.3, 3, 0.68, 0.6),
        (0.65, 0.3, 2, 0.68, 0.5),
        (0.65, 0.3, 1, 0.65, 1.5),
        (0.67, 0.4, 1, 0.65, 1.5),
    )[severity - 1]
    image = pixels / 255.0
    if severity <= 3:
        amount = _water(pixels, severity, seed)
        colour = np.array([175, 238, 238]) / 255
        return _in_range(image + strength * (amount / amount.max())[..., np.newaxis] * colour)
    liquid = _gaussian(np.random.normal(size=pixels.shape[:2], loc=mean, scale=deviation), sigma=sigma)
    mud = _gaussian(np.where(liquid > least, 1.0, 0.0), sigma=strength)
    mud[mud < 0.8] = 0
    mud = mud[..., np.newaxis]
    return _in_range(image * (1 - mud) + np.array([63, 42, 20]) / 255 * mud)


def _water(pixels: Pixels, severity: int, seed: int) -> Floats:
    """How much light each pixel's drop reflects: what the package's own spatter first hands to `cvtColor`."""
    handed: list[Floats] = []
    convert = cv2.cvtColor

    def spy(values: Floats, code: int) -> Floats:
        handed.append(values.astype(np.float64))
        return convert(values, code)

    np.random.seed(seed)
    with _without_ipp(), mock.patch.object(cv2, "cvtColor", spy):
        corruptions.spatter(Image.fromarray(pixels), severity)
    return handed[0]


@contextmanager
def _without_ipp() -> Iterator[None]:
    """OpenCV's own code, which works in whole numbers where Intel's library (on Intel and AMD alone) does not."""
    used = cv2.ipp.useIPP()
    cv2.ipp.setUseIPP(False)
    try:
        yield
    finally:
        cv2.ipp.setUseIPP(used)


RESTATED: Mapping[str, Callable[[Pixels, int, int], Floats]] = {
    function.__name__: function
    for function in (defocus_blur, glass_blur, zoom_blur, snow, frost, elastic_transform, spatter)
}
"""By name; each takes pixels, severity and the seed of what does not draw from NumPy's global state."""
