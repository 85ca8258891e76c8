"""What the corruptions share: cutting to grey levels, blurring and resizing, the same on every processor.

A picture is cut to whole grey levels at the end, and a value that lies on a whole number in exact arithmetic falls on
one side or the other by one unit in the last place. Such units come from `exp` (NumPy and the C library choose their
code by processor), from single precision, from the order of a sum, and from OpenCV, whose filters differ between
instruction sets. So everything is computed in double precision and rounded to 6 decimals before it is cut.

Values are grey levels, 0 to 255, where `imagecorruptions` has shares of white.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pruneproof.perturbations.images import Pixels

Floats = NDArray[np.float64]

DECIMALS = 6
"""Far above the errors of double precision (1e-12 of a grey level), far below what an eye or a model could tell."""

_BAND = 16
"""Rows of a picture that are worked on together, so that they stay in the processor's cache."""


def cut(values: Floats) -> Pixels:
    """Whole grey levels by cutting, as the package does, but steadily; what lies outside 0 to 255 is brought in."""
    return np.round(np.clip(values, 0, 255), DECIMALS).astype(np.uint8)


def smoothed(
    values: Floats, sigma: float | tuple[float, float], truncate: float = 4, border: int = cv2.BORDER_REPLICATE
) -> Floats:
    """Blurred by a normal distribution, as `skimage.filters.gaussian` does it.

    Args:
        values: (height, width) or (height, width, channels).
        sigma: standard deviation in pixels, or one for rows and one for columns.
        truncate: where the distribution ends, in standard deviations.
        border: what lies outside, as OpenCV numbers it.
    """
    down, across = sigma if isinstance(sigma, tuple) else (sigma, sigma)
    return np.asarray(
        cv2.sepFilter2D(values, -1, _normal(across, truncate), _normal(down, truncate), borderType=border), np.float64
    )


def _normal(sigma: float, truncate: float) -> Floats:
    """Weights that add up to 1, from one end to the other."""
    reach = int(truncate * sigma + 0.5)
    weights: Floats = np.exp(-0.5 / (sigma * sigma) * np.arange(-reach, reach + 1) ** 2)
    weights /= weights.sum()
    return weights


def streaked(values: Floats, radius: int, sigma: float, angle: float) -> Floats:
    """Blurred along a line, as the package's `_motion_blur` does it: half a normal distribution, edges repeated.

    Args:
        values: (height, width) or (height, width, channels).
        radius: half the line's length in pixels.
        sigma: of the distribution, in pixels.
        angle: of the line, in degrees.
    """
    height, width = values.shape[:2]
    channels = values.size // (height * width)
    steps = _line(radius, sigma, angle, height, width)
    margin = max(max(abs(down), abs(right)) for down, right, _ in steps)
    padded = cv2.copyMakeBorder(values, *(margin,) * 4, cv2.BORDER_REPLICATE).reshape(height + 2 * margin, -1)
    total = np.zeros((height, width * channels))
    for top in range(0, height, _BAND):
        band = total[top : top + _BAND]
        for down, right, weight in steps:
            row, column = margin + top - down, (margin - right) * channels
            cv2.scaleAdd(padded[row : row + len(band), column : column + width * channels], weight, band, band)
    return total.reshape(values.shape)


def _line(radius: int, sigma: float, angle: float, height: int, width: int) -> list[tuple[int, int, float]]:
    """How far (down, right) each copy of the picture is moved, and its weight; none is moved out of the picture."""
    length = 2 * radius + 1
    weights = np.exp(-(np.arange(length) ** 2) / (2 * sigma**2)) / (np.sqrt(2 * np.pi) * sigma)
    weights /= weights.sum()
    down, right = length * np.sin(np.deg2rad(angle)), length * np.cos(np.deg2rad(angle))
    distance = math.hypot(down, right)
    steps = []
    for i, weight in enumerate(weights.tolist()):
        step = -math.ceil(i * down / distance - 0.5), -math.ceil(i * right / distance - 0.5)
        if abs(step[0]) >= height or abs(step[1]) >= width:
            break
        steps.append((*step, weight))
    return steps


def mixing(sources: NDArray[np.intp], weights: Floats, length: int) -> sparse.csr_array:
    """The matrix that resizes along one axis: each position mixes a few of the axis's pixels.

    Args:
        sources: indices of the pixels, (positions, pixels mixed).
        weights: of those pixels.
        length: of the axis that is resized.

    Returns:
        (positions, length).
    """
    count, mixed = sources.shape
    return sparse.csr_array((weights.ravel(), sources.ravel(), np.arange(count + 1) * mixed), shape=(count, length))


def enlarging(length: int, factor: float, most: int | None = None) -> sparse.csr_array:
    """The middle of an axis enlarged linearly, as the package's `clipped_zoom` does it with scipy's `zoom`.

    Args:
        length: of the axis.
        factor: 1 or more.
        most: positions that are wanted at most; None for all.

    Returns:
        For `mixing`, or for `resized`.
    """
    kept = math.ceil(length / factor)
    start, count = (length - kept) // 2, round(kept * factor)
    places = np.arange(min(count, most or count)) * ((kept - 1) / (count - 1))
    first = np.floor(places).astype(np.intp)
    after = places - first
    # A place that lies beyond the last pixel by one unit in the last place is outside for scipy, and black.
    weights = np.stack([1 - after, after], axis=1) * (places <= kept - 1)[:, np.newaxis]
    return mixing(start + np.stack([first, np.minimum(first + 1, kept - 1)], axis=1), weights, length)


def resized(values: Floats, rows: sparse.csr_array, columns: sparse.csr_array) -> Floats:
    """Resized along both axes by matrices of `mixing`; (height, width, channels) or (height, width)."""
    return turned(resized_and_turned(values, rows, columns))


def resized_and_turned(values: Floats, rows: sparse.csr_array, columns: sparse.csr_array) -> Floats:
    """The same as (width, height, channels), the order in which it comes out."""
    shape = values.shape[2:]
    tall = (rows @ values.reshape(len(values), -1)).reshape(-1, values.shape[1], *shape)
    wide = columns @ turned(tall).reshape(values.shape[1], -1)
    return np.asarray(wide).reshape(columns.shape[0], rows.shape[0], *shape)


def tripled(values: Floats) -> Floats:
    """The same for three channels, (height, width, 3): faster than letting NumPy stretch a last axis of one."""
    return np.asarray(cv2.merge([values] * 3), np.float64)


def turned(values: Floats) -> Floats:
    """Rows and columns exchanged."""
    return np.asarray(cv2.transpose(values), np.float64)
