"""What a camera and the world do to a picture: the variety of web photographs, for training the tower.

Every constant here is this module's own. The study's perturbations are neither called nor copied: some of them have no
counterpart here (local warps, impulse noise), so that a study also shows what was never trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pruneproof.training import _weather as weather
from pruneproof.training._weather import Light, as_light

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Variation:
    """One thing that happens to pictures."""

    title: str
    weight: float
    """How often it is drawn, relative to the others."""
    extent: str
    """How far it goes, for the model card."""
    apply: Callable[[Light, np.random.Generator], Light]


NUMBERS = (0.30, 0.30, 0.25, 0.15)
"""Chance that one, two, three or four different things happen to a picture at once."""


def vary(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A picture as another day, lens, sensor and file would have given it.

    One to four variations are drawn without replacement and applied in the order of `VARIATIONS`: from the scene's
    light through lens and sensor to the file. Objects stay where they are.

    Args:
        pixels: [H, W, 3] uint8, RGB; left as it is.
        rng: the only source of randomness.
    """
    number = 1 + int(rng.choice(len(NUMBERS), p=NUMBERS))
    odds = np.array([variation.weight for variation in VARIATIONS])
    chosen = np.sort(rng.choice(len(VARIATIONS), size=number, replace=False, p=odds / odds.sum()))
    light = as_light(pixels / np.float32(255))
    for index in chosen:
        light = VARIATIONS[index].apply(light, rng)
    return as_pixels(light)


def as_pixels(light: Light) -> Pixels:
    """Rounded to eight bits; what is outside the range is clipped."""
    return np.rint(np.clip(light, 0, 1) * 255).astype(np.uint8)


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Log-uniform: as often in the lower half of the scale as in the upper."""
    return float(np.exp(rng.uniform(math.log(low), math.log(high))))


_EXPOSURE = (0.3, 2.4)
_GAMMA = (0.5, 2.0)
_OFFSET = (-0.30, 0.50)


def _exposure(light: Light, rng: np.random.Generator) -> Light:
    """Gain, and sometimes black lifted or sunk: too bright a picture is clipped like film."""
    gain = between(rng, *_EXPOSURE) if rng.random() < 0.6 else 1.0
    black = rng.uniform(*_OFFSET) if rng.random() < 0.6 else 0.0
    return as_light(light * np.float32(gain) + np.float32(black))


def _gamma(light: Light, rng: np.random.Generator) -> Light:
    return as_light(as_light(light) ** np.float32(between(rng, *_GAMMA)))


_CONTRAST = (0.06, 1.5)


def _contrast(light: Light, rng: np.random.Generator) -> Light:
    """Towards a grey (the picture's mean or another) or away from it."""
    grey = light.mean() if rng.random() < 0.7 else np.float32(rng.uniform(0.15, 0.85))
    return as_light(grey + (light - grey) * np.float32(between(rng, *_CONTRAST)))


_CAST = 0.25
_SATURATION = (0.2, 1.5)


def _colour(light: Light, rng: np.random.Generator) -> Light:
    """White balance a little off, colours paler or louder."""
    cast = light * rng.uniform(1 - _CAST, 1 + _CAST, 3).astype(np.float32)
    grey = cast.mean(-1, keepdims=True)
    return as_light(grey + (cast - grey) * np.float32(rng.uniform(*_SATURATION)))


_VIGNETTE = (0.2, 0.9)


def _vignette(light: Light, rng: np.random.Generator) -> Light:
    height, width = light.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    shift = rng.uniform(-0.3, 0.3, 2)
    distance = ((x - shift[0]) ** 2 + (y - shift[1]) ** 2) / 2
    fall = np.clip(1 - rng.uniform(*_VIGNETTE) * distance, 0, 1).astype(np.float32)
    return as_light(light * fall[..., None])


_SHADE = (0.25, 0.85)


def _shadow(light: Light, rng: np.random.Generator) -> Light:
    """Some of the picture in the shadow of a wall or of leaves, with a soft edge."""
    height, width = light.shape[:2]
    if rng.random() < 0.5:
        turn, y, x = rng.uniform(0, 2 * math.pi), *np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        field = (math.cos(turn) * x + math.sin(turn) * y - rng.uniform(-0.6, 0.6)) * between(rng, 3, 30)
    else:
        field = (weather.clouds(height, width, 0.6, rng) - rng.uniform(0.3, 0.7)) * between(rng, 8, 40)
    shaded = 1 / (1 + np.exp(-np.clip(field, -30, 30)))
    return as_light(light * (1 - (1 - rng.uniform(*_SHADE)) * shaded)[..., None])


_OCCLUDERS = (1, 6)
_OCCLUDER_SIZE = (0.05, 0.3)


def _occluders(light: Light, rng: np.random.Generator) -> Light:
    """Things before the lens, of one tone each: posts, leaves, fingers; sharp or out of focus."""
    height, width = light.shape[:2]
    layer = np.zeros((height, width, 3), np.float32)
    cover = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(_OCCLUDERS[0], _OCCLUDERS[1] + 1))):
        centre = rng.uniform(0, (width, height))
        axes = (rng.uniform(*_OCCLUDER_SIZE, size=2) * (width, height)).astype(int) // 2 + 1
        turn = rng.uniform(0, 180)
        tone = tuple(float(v) for v in np.clip(rng.uniform(0.1, 0.9) + rng.uniform(-0.15, 0.15, 3), 0, 1))
        if rng.random() < 0.4:
            place = tuple(int(v) for v in centre)
            for canvas, fill in ((layer, tone), (cover, 1.0)):
                cv2.ellipse(canvas, place, tuple(int(v) for v in axes), turn, 0, 360, fill, -1)
        else:
            box = cv2.boxPoints(((float(centre[0]), float(centre[1])), tuple(2.0 * axes), turn * (rng.random() < 0.5)))
            for canvas, fill in ((layer, tone), (cover, 1.0)):
                cv2.fillPoly(canvas, [box.astype(np.int32)], fill)
    front = layer * cover[..., None]
    if rng.random() < 0.4:
        soft = rng.uniform(1, 5)
        front, cover = (as_light(cv2.GaussianBlur(canvas, (0, 0), soft)) for canvas in (front, cover))
    return as_light(light * (1 - cover[..., None]) + front)


_DISK = (0.8, 6.0)
_GAUSS = (0.5, 4.0)


def _defocus(light: Light, rng: np.random.Generator) -> Light:
    """Blurred by a round aperture or a soft lens."""
    if rng.random() < 0.35:
        return as_light(cv2.GaussianBlur(light, (0, 0), between(rng, *_GAUSS)))
    radius = between(rng, *_DISK)
    reach = math.ceil(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return _filtered(light, np.clip(radius + 0.5 - np.hypot(x, y), 0, 1))


_SHAKE = (2.0, 18.0)
_SHAKE_TURN = 3.0
_SHAKE_ZOOM = 0.12
_SHAKE_TIMES = 8


def _shake(light: Light, rng: np.random.Generator) -> Light:
    """The camera moves while the shutter is open: along a bent line, or turning and nearing."""
    if rng.random() < 0.6:
        return _filtered(light, _path(between(rng, *_SHAKE), rng))
    height, width = light.shape[:2]
    turn = rng.uniform(-_SHAKE_TURN, _SHAKE_TURN) * (rng.random() < 0.6)
    zoom = rng.uniform(0.01, _SHAKE_ZOOM)
    centre = (width * rng.uniform(0.35, 0.65), height * rng.uniform(0.35, 0.65))
    total = np.zeros_like(light)
    for part in np.linspace(0, 1, _SHAKE_TIMES):
        matrix = cv2.getRotationMatrix2D(centre, float(turn * (part - 0.5)), float(1 + zoom * part))
        total += as_light(cv2.warpAffine(light, matrix, (width, height), borderMode=cv2.BORDER_REFLECT))
    return as_light(total / _SHAKE_TIMES)


def _path(length: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Kernel of a slightly bent line of a length in pixels."""
    steps = 32
    angle = rng.uniform(0, 2 * math.pi) + rng.uniform(-1.0, 1.0) * np.linspace(-0.5, 0.5, steps)
    points = np.cumsum(np.stack([np.cos(angle), np.sin(angle)]), axis=1) * length / steps
    points -= points.mean(1, keepdims=True)
    reach = math.ceil(float(np.abs(points).max())) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    whole = np.floor(points).astype(int)
    part = points - whole
    for dx in (0, 1):
        for dy in (0, 1):
            share = np.abs(1 - dx - part[0]) * np.abs(1 - dy - part[1])
            np.add.at(kernel, (whole[1] + dy + reach, whole[0] + dx + reach), share)
    return kernel


def _filtered(light: Light, kernel: NDArray[np.float64]) -> Light:
    share = (kernel / kernel.sum()).astype(np.float32)
    return as_light(cv2.filter2D(light, -1, share, borderType=cv2.BORDER_REFLECT))


_SMALLER = (1.3, 6.0)


def _resample(light: Light, rng: np.random.Generator) -> Light:
    """Made smaller and larger again, with or without smoothing."""
    height, width = light.shape[:2]
    factor = between(rng, *_SMALLER)
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    down = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_NEAREST)[int(rng.choice(3, p=(0.6, 0.25, 0.15)))]
    up = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC)[int(rng.integers(3))]
    return as_light(cv2.resize(cv2.resize(light, small, interpolation=down), (width, height), interpolation=up))


_NOISE = (0.01, 0.28)


def _noise(light: Light, rng: np.random.Generator) -> Light:
    """Of the sensor: even or more in the light, of single pixels or of small grains, grey or coloured."""
    height, width = light.shape[:2]
    grain = 1 if rng.random() < 0.7 else 2
    shape = (-(-height // grain), -(-width // grain), 1 if rng.random() < 0.25 else 3)
    drawn = rng.standard_normal(shape, dtype=np.float32)
    noise = np.asarray(cv2.resize(drawn, (width, height), interpolation=cv2.INTER_LINEAR)).reshape(height, width, -1)
    amount = between(rng, *_NOISE)
    if rng.random() < 0.4:
        return as_light(light + amount * 1.4 * np.sqrt(np.clip(light, 0.02, 1)) * noise)
    return as_light(light + amount * noise)


_QUALITY = (5, 80)


def _jpeg(light: Light, rng: np.random.Generator) -> Light:
    quality = round(between(rng, *_QUALITY))
    content = cv2.imencode(".jpg", as_pixels(light)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return as_light(np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR))[..., ::-1] / np.float32(255))


VARIATIONS = (
    Variation("shadow", 0.6, f"part of the picture times {_SHADE[0]} to {_SHADE[1]}, soft edge", _shadow),
    Variation("haze", 2.2, weather.HAZE_EXTENT, weather.haze),
    Variation("frosted pane", 1.0, weather.PANE_EXTENT, weather.pane),
    Variation("rain", 0.5, weather.RAIN_EXTENT, weather.rain),
    Variation("snowfall", 1.0, weather.SNOW_EXTENT, weather.snowfall),
    Variation(
        "things before the lens",
        1.0,
        f"{_OCCLUDERS[0]} to {_OCCLUDERS[1]} of one tone, sides {_OCCLUDER_SIZE[0]:.0%} to {_OCCLUDER_SIZE[1]:.0%} "
        "of the picture's",
        _occluders,
    ),
    Variation(
        "defocus",
        1.6,
        f"disk of radius {_DISK[0]} to {_DISK[1]} px or Gaussian of {_GAUSS[0]} to {_GAUSS[1]} px",
        _defocus,
    ),
    Variation(
        "camera shake",
        1.6,
        f"bent line of {_SHAKE[0]:.0f} to {_SHAKE[1]:.0f} px, or a turn of up to {_SHAKE_TURN:.0f} degrees while "
        f"nearing by 1 to {100 * _SHAKE_ZOOM:.0f}%",
        _shake,
    ),
    Variation("vignetting", 0.4, f"corners darker by {_VIGNETTE[0]:.0%} to {_VIGNETTE[1]:.0%}", _vignette),
    Variation(
        "exposure",
        1.2,
        f"times {_EXPOSURE[0]} to {_EXPOSURE[1]}, black moved by {_OFFSET[0]} to {_OFFSET[1]} of white, clipped",
        _exposure,
    ),
    Variation("gamma", 0.6, f"{_GAMMA[0]} to {_GAMMA[1]}", _gamma),
    Variation("contrast", 1.6, f"times {_CONTRAST[0]} to {_CONTRAST[1]} around a grey", _contrast),
    Variation(
        "colour",
        0.7,
        f"channels times {1 - _CAST} to {1 + _CAST}, saturation times {_SATURATION[0]} to {_SATURATION[1]}",
        _colour,
    ),
    Variation("sensor noise", 1.6, f"deviation {_NOISE[0]} to {_NOISE[1]} of white; even or with the light", _noise),
    Variation("resampling", 0.8, f"{_SMALLER[0]} to {_SMALLER[1]} times smaller and back", _resample),
    Variation("JPEG", 0.8, f"quality {_QUALITY[0]} to {_QUALITY[1]}", _jpeg),
)
"""In the order in which they happen."""
