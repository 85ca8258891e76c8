"""Weather and wet or frozen panes between camera and scene; constants are this module's own (see `variety`)."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Light = NDArray[np.float32]
"""A picture [H, W, 3], RGB, 0 black and 1 white."""
Field = NDArray[np.float32]
"""One value a pixel, [H, W]."""


def as_light(values: ArrayLike) -> Light:
    """What is outside 0 to 1 is clipped, as film and sensors do."""
    return np.asarray(np.clip(values, 0, 1), np.float32)


def clouds(height: int, width: int, roughness: float, rng: np.random.Generator) -> Field:
    """A random field [H, W] with mean near 0.5, in 0 to 1: noise of doubling fineness, each level `roughness` weaker.

    Args:
        height: in pixels.
        width: in pixels.
        roughness: 0 is the coarsest level alone, 1 is all levels equally strong.
        rng: the only source of randomness.
    """
    field = np.zeros((height, width), np.float32)
    strength, cells, total = 1.0, 2, 0.0
    while cells <= min(height, width) // 3 and strength > 0.03:
        coarse = rng.standard_normal((cells + 1, cells + 1), dtype=np.float32)
        field += np.float32(strength) * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        total += strength**2
        strength, cells = strength * roughness, cells * 2
    return as_light(0.5 + field / np.float32(4 * math.sqrt(total)))


_HAZE = (0.08, 0.88)
_AIRLIGHT = (0.45, 1.0)
HAZE_EXTENT = (
    f"{_HAZE[0]:.0%} to {_HAZE[1]:.0%} of the light replaced by grey {_AIRLIGHT[0]} to {_AIRLIGHT[1]}, even or in "
    "clouds of low frequency"
)


def haze(light: Light, rng: np.random.Generator) -> Light:
    """Light of the air mixed with that of the scene, even or in drifts; the drifts may differ in tone as well."""
    height, width = light.shape[:2]
    thick = np.float32(rng.uniform(*_HAZE))
    drift = clouds(height, width, float(rng.uniform(0.3, 0.75)), rng) - np.float32(0.5)
    veil = np.clip(thick + drift * np.float32(rng.uniform(0, 1.6) * min(thick, 1 - thick) * 2), 0, 0.95)
    tone = rng.uniform(*_AIRLIGHT) + rng.uniform(-0.05, 0.05, 3)
    air = tone.astype(np.float32) + (drift * np.float32(rng.uniform(0, 1.6)))[..., None]
    return as_light(light * (1 - veil[..., None]) + np.clip(air, 0, 1) * veil[..., None])


_PANE = (0.1, 0.75)
PANE_EXTENT = f"{_PANE[0]:.0%} to {_PANE[1]:.0%} of the light replaced by bright structure of all frequencies"


def pane(light: Light, rng: np.random.Generator) -> Light:
    """Ice or drops on glass: bright ridges of all sizes, thicker in places."""
    height, width = light.shape[:2]
    ridges = 1 - np.abs(2 * clouds(height, width, float(rng.uniform(0.7, 1.0)), rng) - 1) * np.float32(
        rng.uniform(1, 3)
    )
    places = clouds(height, width, 0.4, rng)
    veil = np.float32(rng.uniform(*_PANE)) * np.clip(places * np.float32(1.6), 0.2, 1)
    blue = np.array((rng.uniform(0.75, 0.95), rng.uniform(0.85, 1.0), 1.0), np.float32)
    tone = (ridges * np.float32(rng.uniform(0.6, 1.1)))[..., None] * blue
    mixed = light * (1 - veil[..., None]) + tone * veil[..., None]
    if rng.random() < 0.4:
        mixed = light * np.float32(rng.uniform(0.5, 0.95)) + tone * veil[..., None]
    return as_light(mixed)


_DROPS = (40, 400)
_DROP_LENGTH = (6.0, 40.0)
RAIN_EXTENT = f"{_DROPS[0]} to {_DROPS[1]} bright streaks of {_DROP_LENGTH[0]:.0f} to {_DROP_LENGTH[1]:.0f} px"


def rain(light: Light, rng: np.random.Generator) -> Light:
    """Bright thin streaks, nearly upright and parallel, under a darker sky."""
    height, width = light.shape[:2]
    lean = rng.uniform(-0.5, 0.5)
    length = rng.uniform(*_DROP_LENGTH)
    layer = np.zeros((height, width), np.float32)
    for x, y, bright, long in rng.uniform(0, 1, (int(rng.integers(*_DROPS)), 4)).tolist():
        reach = length * (0.5 + long)
        start = (round(x * width), round(y * height * 1.2 - 0.1 * height))
        end = (round(x * width + lean * reach), round(start[1] + reach))
        cv2.line(layer, start, end, 0.3 + 0.7 * bright, 1 if long < 0.8 else 2, cv2.LINE_AA)
    soft = as_light(cv2.GaussianBlur(layer, (0, 0), float(rng.uniform(0.4, 1.2))))
    dark = np.float32(rng.uniform(0.7, 1.0))
    return as_light(light * dark + (soft * np.float32(rng.uniform(0.25, 0.9)))[..., None])


_FLAKES = (60, 900)
_FLAKE_RADIUS = (0.6, 3.0)
_WHITER = 0.6
SNOW_EXTENT = (
    f"{_FLAKES[0]} to {_FLAKES[1]} flakes of radius {_FLAKE_RADIUS[0]} to {_FLAKE_RADIUS[1]} px, still or falling, the "
    f"scene up to {_WHITER:.0%} whiter"
)


def snowfall(light: Light, rng: np.random.Generator) -> Light:
    """White flakes, most of them streaked by their fall, before a scene that the white light makes paler."""
    height, width = light.shape[:2]
    layer = np.zeros((height, width), np.float32)
    largest = rng.uniform(1.0, _FLAKE_RADIUS[1])
    lean, fall = rng.uniform(-1, 1), rng.uniform(0, 14)
    for x, y, size, bright in rng.uniform(0, 1, (int(rng.integers(*_FLAKES)), 4)).tolist():
        radius = _FLAKE_RADIUS[0] + size**2 * (largest - _FLAKE_RADIUS[0])
        start = (round(x * width), round(y * height))
        end = (round(start[0] + lean * fall * (0.5 + size)), round(start[1] + fall * (0.5 + size)))
        cv2.line(layer, start, end, 0.4 + 0.6 * bright, max(1, round(2 * radius)), cv2.LINE_AA)
    soft = as_light(cv2.GaussianBlur(layer, (0, 0), float(rng.uniform(0.4, 1.6))))
    whiter = np.float32(rng.uniform(0, _WHITER))
    grey = light.mean(-1, keepdims=True)
    pale = light + whiter * (np.maximum(light, grey * np.float32(0.7) + np.float32(0.3)) - light)
    return as_light(pale + (soft * np.float32(rng.uniform(0.4, 1.0)))[..., None])
