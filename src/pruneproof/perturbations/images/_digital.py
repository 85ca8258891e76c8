"""ImageNet-C's changes of colour, shape and encoding, as `imagecorruptions.corruptions` (1.1.5) makes them: see
`imagenet_c` and `_arithmetic`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pruneproof.perturbations.images import Pixels
from pruneproof.perturbations.images._arithmetic import Floats, cut, smoothed, tripled

LONGEST_SIDE = 2**15 - 2
"""In pixels, of a picture that OpenCV's `remap` takes."""


def brightness(pixels: Pixels, severity: int, seed: int) -> Pixels:
    """More light: the value of hue, saturation and value.

    With hue and saturation as they are, all three channels are in proportion to the value.
    """
    added = 255 * (0.1, 0.2, 0.3, 0.4, 0.5)[severity - 1]
    before = np.arange(256.0)
    gain = np.minimum(before + added, 255) / np.maximum(before, 1)
    largest = _largest(pixels)
    lit = tripled(gain[largest])
    lit *= pixels
    lit[largest == 0] = added
    return cut(lit)


def contrast(pixels: Pixels, severity: int, seed: int) -> Pixels:
    """Each channel drawn towards its mean."""
    kept = (0.4, 0.3, 0.2, 0.1, 0.05)[severity - 1]
    means = np.array(cv2.mean(pixels)[:3])
    levels = cut((np.arange(256.0)[:, np.newaxis] - means) * kept + means)
    return np.asarray(cv2.LUT(pixels, levels[np.newaxis]), np.uint8)


def elastic_transform(pixels: Pixels, severity: int, seed: int) -> Pixels:
    """Every pixel moved along a smooth random field, and mixed linearly from the four around its new place."""
    height, width, _ = pixels.shape
    if max(height, width) > LONGEST_SIDE:
        raise ValueError(
            f"OpenCV moves the pixels of pictures of at most {LONGEST_SIDE} a side, not {width} x {height}"
        )
    strength = 250 * (0.05, 0.065, 0.085, 0.1, 0.12)[severity - 1]
    furthest, sigma = height * 0.005, (height * 0.01, width * 0.01)
    rng = np.random.RandomState(seed)
    right, down = (
        strength * smoothed(rng.uniform(-furthest, furthest, size=(height, width)), sigma, 3, cv2.BORDER_REFLECT)
        for _ in range(2)
    )
    right += np.arange(width)
    down += np.arange(height)[:, np.newaxis]
    left, top = np.floor(right), np.floor(down)
    corner = np.dstack([left, top]).astype(np.int16)
    low, across = tripled(down - top), tripled(right - left)
    above, below = (
        _between(_taken(pixels, corner, step, 0), _taken(pixels, corner, step, 1), across) for step in (0, 1)
    )
    return cut(_between(above, below, low))


def _taken(pixels: Pixels, places: NDArray[np.int16], down: int, right: int) -> Floats:
    """The pixels at places (column, row) moved by a step; what lies outside is mirrored at the edge."""
    moved = places + np.array([right, down], np.int16)
    taken = cv2.remap(pixels, moved, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT)  # type: ignore[call-overload]
    return np.asarray(taken, np.float64)


def _between(one: Floats, other: Floats, share: Floats) -> Floats:
    """The first of two with a share of the other, in the memory of both."""
    other -= one
    other *= share
    one += other
    return one


def pixelate(pixels: Pixels, severity: int, seed: int) -> Pixels:
    """Fewer pixels, shown larger."""
    share = (0.6, 0.5, 0.4, 0.3, 0.25)[severity - 1]
    height, width, _ = pixels.shape
    small = Image.fromarray(pixels).resize((int(width * share), int(height * share)), Image.Resampling.BOX)
    return np.asarray(small.resize((width, height), Image.Resampling.NEAREST))


def jpeg_compression(pixels: Pixels, severity: int, seed: int) -> Pixels:
    """Saved as a JPEG of low quality."""
    content = BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=(25, 18, 15, 10, 7)[severity - 1])
    return np.asarray(Image.open(content))


def saturate(pixels: Pixels, severity: int, seed: int) -> Pixels:
    """Paler (severities 1 and 2) or stronger colours: the saturation of hue, saturation and value.

    With hue and value as they are, each channel's distance to the largest is in proportion to the saturation. Grey has
    none, and takes the hue red where some is added.
    """
    factor, added = ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2))[severity - 1]
    value = _largest(pixels).astype(np.float64)
    spread = value - _smallest(pixels)
    saturation = np.clip(spread / np.maximum(value, 1) * factor + added, 0, 1)
    reach = value * saturation
    below = tripled(value) - pixels
    below *= tripled(reach / np.maximum(spread, 1))
    below[spread == 0, 1:] = reach[spread == 0, np.newaxis]
    return cut(tripled(value) - below)


def _largest(pixels: Pixels) -> Pixels:
    red, green, blue = (pixels[..., channel] for channel in range(3))
    return np.maximum(np.maximum(red, green), blue)


def _smallest(pixels: Pixels) -> Pixels:
    red, green, blue = (pixels[..., channel] for channel in range(3))
    return np.minimum(np.minimum(red, green), blue)


CORRUPTIONS: Mapping[str, Callable[[Pixels, int, int], Pixels]] = {
    function.__name__: function
    for function in (brightness, contrast, elastic_transform, pixelate, jpeg_compression, saturate)
}
"""By name; each takes pixels, severity and seed."""
