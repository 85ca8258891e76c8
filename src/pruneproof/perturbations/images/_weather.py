"""ImageNet-C's weather, and its spatter, as `imagecorruptions.corruptions` (1.1.5) makes them: see `imagenet_c` and
`_arithmetic`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import sparse

from pruneproof.perturbations.images import Pixels
from pruneproof.perturbations.images._arithmetic import (
    DECIMALS,
    Floats,
    cut,
    enlarging,
    mixing,
    resized,
    smoothed,
    streaked,
    tripled,
)


def snow(pixels: Pixels, severity: int, seed: int) -> Pixels:
    """Streaks over a whitened picture."""
    mean, deviation, zoom, least, radius, sigma, kept = (
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    )[severity - 1]
    height, width, _ = pixels.shape
    rng = np.random.RandomState(seed)
    flakes = rng.normal(size=(height, width), loc=mean, scale=deviation)
    flakes = resized(flakes, enlarging(height, zoom), enlarging(width, zoom))
    flakes[flakes < least] = 0
    streaks = streaked(np.minimum(flakes, 1), radius, sigma, rng.uniform(-135, -45))
    streaks = np.round(streaks * 255)[:height, :width]
    image = pixels.astype(np.float64)
    white = np.asarray(cv2.transform(image, _WHITENED), np.float64)
    np.maximum(image, white, out=white)
    image *= kept
    white *= 1 - kept
    image += white
    image += tripled(streaks + np.rot90(streaks, k=2))
    return cut(image)


_WHITENED = np.array([[1.5 * 0.299, 1.5 * 0.587, 1.5 * 0.114, 127.5]] * 3)
"""From a picture to a paler one in grey: OpenCV's weights of the channels."""


def frost(pixels: Pixels, severity: int, seed: int) -> Pixels:
    """A part of one of six photographs of frost, mixed in."""
    of_picture, of_frost = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))[severity - 1]
    rng = np.random.RandomState(seed)
    texture = _frost_texture(int(rng.randint(6)))
    wanted, given = pixels.shape[:2], texture.shape[:2]
    # Enlarged only as far as the picture needs, and then by a tenth more, as in the package.
    factor = 1.1 * max(1, *(side / own for side, own in zip(wanted, given, strict=True)))
    enlarged = [int(np.ceil(side * factor)) for side in given]
    starts = [int(rng.randint(0, large - side)) for large, side in zip(enlarged, wanted, strict=True)]
    (top, rows), (left, columns) = map(_cubic, given, enlarged, starts, wanted)
    texture = texture[top : top + rows.shape[1], left : left + columns.shape[1]]
    part = resized(texture.astype(np.float64), rows, columns)
    part = np.clip(np.round(part, DECIMALS).round(), 0, 255)
    part *= of_frost
    part += of_picture * pixels
    return cut(part)


@cache
def _frost_texture(number: int) -> Pixels:
    """One of the package's photographs, (height, width, 3), found without importing the package, which takes long."""
    package = importlib.util.find_spec("imagecorruptions")
    assert package is not None
    assert package.origin is not None
    name = f"frost{number + 1}.{'png' if number < 3 else 'jpg'}"
    return np.asarray(Image.open(Path(package.origin).parent / "frost" / name).convert("RGB"))


def _cubic(given: int, wanted: int, start: int, count: int) -> tuple[int, sparse.csr_array]:
    """Cubic interpolation along one axis, as OpenCV's `INTER_CUBIC` does it (a = -0.75, the edge repeated).

    Args:
        given: length of what is resized.
        wanted: length that it would have as a whole.
        start: first position of the part that is wanted.
        count: length of that part.

    Returns:
        The first pixel that is needed, and the matrix from the needed pixels to the part.
    """
    places = (np.arange(start, start + count) + 0.5) * (given / wanted) - 0.5
    first = np.floor(places)
    x, a = places - first, -0.75
    before = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a
    left = ((a + 2) * x - (a + 3)) * x * x + 1
    right = ((a + 2) * (1 - x) - (a + 3)) * (1 - x) * (1 - x) + 1
    weights = np.stack([before, left, right, 1 - before - left - right], axis=1)
    sources = np.clip(first.astype(np.intp)[:, np.newaxis] + np.arange(-1, 3), 0, given - 1)
    least = int(sources.min())
    return least, mixing(sources - least, weights, int(sources.max()) + 1 - least)


def fog(pixels: Pixels, severity: int, seed: int) -> Pixels:
    """Light from a haze of uneven density."""
    density, decay = ((1.5, 2), (2.0, 2), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))[severity - 1]
    height, width, _ = pixels.shape
    side = 1 << (max(height, width) - 1).bit_length()
    haze = density * _plasma(side, decay, np.random.RandomState(seed))[:height, :width]
    lightest = int(pixels.max()) / 255
    lit = tripled(255 * haze.astype(np.float64))
    lit += pixels
    lit *= lightest / (lightest + density)
    return cut(lit)


def _plasma(side: int, decay: float, rng: np.random.RandomState) -> NDArray[np.float32]:
    """The package's `plasma_fractal`: heights from 0 to 1 by the diamond-square algorithm, in single precision.

    Args:
        side: of the square, a power of two.
        decay: of the heights' randomness from each scale to the next finer one.
        rng: where they are drawn.
    """
    heights = np.zeros((side, side), np.float32)
    step, roughness = side, 100.0
    while step >= 2:
        half = step // 2

        def between(total: NDArray[np.float32], roughness: float = roughness) -> Floats:
            drawn = rng.uniform(-roughness, roughness, total.shape)
            drawn *= roughness
            drawn += total / 4
            return drawn

        corners = heights[::step, ::step].copy()
        middles = between(_with_next(_with_next(corners, 0), 1)).astype(np.float32)
        heights[half::step, half::step] = middles
        heights[::step, half::step] = between(_with_next(corners, 1) + _with_last(middles, 0))
        heights[half::step, ::step] = between(_with_next(corners, 0) + _with_last(middles, 1))
        step, roughness = half, roughness / decay
    heights -= heights.min()
    heights /= heights.max()
    return heights


def _with_next(values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """The sum of each value and the next along an axis, the first being the one after the last."""
    return values + np.roll(values, -1, axis)


def _with_last(values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """The sum of each value and the one before it along an axis, the last being the one before the first."""
    return values + np.roll(values, 1, axis)


def spatter(pixels: Pixels, severity: int, seed: int) -> Pixels:
    """Drops of water on the lens (severities 1 to 3), or of mud."""
    mean, deviation, sigma, least, strength = (
        (0.65, 0.3, 4, 0.69, 0.6),
        (0.65, 0.3, 3, 0.68, 0.6),
        (0.65, 0.3, 2, 0.68, 0.5),
        (0.65, 0.3, 1, 0.65, 1.5),
        (0.67, 0.4, 1, 0.65, 1.5),
    )[severity - 1]
    drawn = np.random.RandomState(seed).normal(size=pixels.shape[:2], loc=mean, scale=deviation)
    liquid = smoothed(drawn, sigma)
    liquid[liquid < least] = 0
    if severity <= 3:
        # The package's cast begins again at 0 above 255, where a drop is thickest; so do its pictures.
        amount = _water(np.round(liquid * 255, DECIMALS).astype(np.int64).astype(np.uint8))
        return cut(pixels + tripled(strength * (amount / amount.max())) * np.array([175, 238, 238]))
    mud = smoothed((liquid > least).astype(np.float64), strength)
    mud[mud < 0.8] = 0
    mud = tripled(mud)
    return cut(pixels * (1 - mud) + np.array([63, 42, 20]) * mud)


def _water(liquid: Pixels) -> Floats:
    """How much light each pixel's drop reflects: its thickness by the shaded distance to the nearest rim."""
    with _without_ipp():
        rims = 255 - cv2.Canny(liquid, 50, 150)
        distance = np.minimum(cv2.distanceTransform(rims, cv2.DIST_L2, 5).astype(np.float64), 20)
        shade = cv2.equalizeHist(cut(_mean_of_nine(distance)))
        relief = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], np.float32)
        shade = cv2.blur(cv2.filter2D(shade, cv2.CV_8U, relief), (3, 3))
    thickness: Floats = liquid.astype(np.float64) * np.asarray(shade, np.float64)
    return thickness


def _mean_of_nine(values: Floats) -> Floats:
    """Mean of each pixel and its eight neighbours, mirrored at the edge."""
    height, width = values.shape
    padded = np.pad(values, 1, mode="reflect")
    total = np.zeros_like(values)
    for top in range(3):
        for left in range(3):
            total += padded[top : top + height, left : left + width]
    return total / 9


@contextmanager
def _without_ipp() -> Iterator[None]:
    """OpenCV's own code, which works in whole numbers where Intel's library (on Intel and AMD alone) does not."""
    used = cv2.ipp.useIPP()
    cv2.ipp.setUseIPP(False)
    try:
        yield
    finally:
        cv2.ipp.setUseIPP(used)


CORRUPTIONS: Mapping[str, Callable[[Pixels, int, int], Pixels]] = {
    function.__name__: function for function in (snow, frost, fog, spatter)
}
"""By name; each takes pixels, severity and seed."""
