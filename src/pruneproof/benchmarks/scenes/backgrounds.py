"""Textured and structured backgrounds by theme, with clutter that no question ever asks for."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

Rgb = tuple[int, int, int]

_SCALE = 2
"""Backgrounds are drawn this many times larger and reduced, for smooth edges."""


def _vary(colour: Rgb, rng: np.random.Generator, amount: int = 10) -> Rgb:
    r, g, b = (int(np.clip(c + rng.integers(-amount, amount + 1), 0, 255)) for c in colour)
    return r, g, b


def _gradient(size: int, top: Rgb, bottom: Rgb) -> Image.Image:
    ramp = np.linspace(0.0, 1.0, size)[:, None, None]
    rows = np.asarray(top) * (1 - ramp) + np.asarray(bottom) * ramp
    return Image.fromarray(np.broadcast_to(rows, (size, size, 3)).astype(np.uint8))


def _cloud(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, colour: Rgb) -> None:
    for dx, dy, k in ((-0.9, 0.15, 0.6), (0, -0.1, 0.9), (0.9, 0.15, 0.65), (0.4, 0.25, 0.7)):
        draw.ellipse(
            [x + dx * r - k * r, y + dy * r - k * r * 0.6, x + dx * r + k * r, y + dy * r + k * r * 0.6], fill=colour
        )


def _sky(size: int, rng: np.random.Generator) -> Image.Image:
    image = _gradient(size, _vary((128, 182, 226), rng), _vary((220, 234, 240), rng))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(5, 9))):
        shade = int(rng.integers(226, 250))
        _cloud(
            draw,
            rng.uniform(0, size),
            rng.uniform(0, size),
            rng.uniform(0.05, 0.13) * size,
            (shade, shade, min(255, shade + 4)),
        )
    horizon = size * rng.uniform(0.8, 0.92)
    for layer, tone in enumerate(((170, 190, 186), (146, 172, 158))):
        phase, bend = rng.uniform(0, 6.28), rng.uniform(1.5, 4)
        y0 = horizon + layer * size * 0.06
        points = [(x, y0 + size * 0.03 * math.sin(phase + bend * 6.28 * x / size)) for x in range(0, size + 8, 8)]
        draw.polygon([*points, (size, size), (0, size)], fill=_vary(tone, rng))
    return image


def _garden(size: int, rng: np.random.Generator) -> Image.Image:
    image = _gradient(size, _vary((170, 204, 140), rng), _vary((120, 168, 96), rng))
    draw = ImageDraw.Draw(image)
    hedge = size * rng.uniform(0.12, 0.24)
    draw.rectangle([0, 0, size, hedge], fill=_vary((196, 220, 232), rng))
    for x in np.arange(-10.0, size + 20, 22).tolist():
        r = rng.uniform(16, 30)
        y = hedge + rng.uniform(-6, 6)
        draw.ellipse([x - r, y - r, x + r, y + r], fill=_vary((104, 146, 92), rng, 14))
    for _ in range(420):
        x, y = rng.uniform(0, size), rng.uniform(hedge + 14, size)
        h = rng.uniform(6, 15)
        draw.line([x, y, x + rng.uniform(-4, 4), y - h], fill=_vary((104, 152, 84), rng, 26), width=2)
    path = size * rng.uniform(0.2, 0.8)
    draw.polygon(
        [(path - 8, hedge + 12), (path + 8, hedge + 12), (path + 70, size), (path - 70, size)],
        fill=_vary((206, 192, 160), rng),
    )
    return image


def _street(size: int, rng: np.random.Generator) -> Image.Image:
    image = _gradient(size, _vary((206, 214, 222), rng), _vary((228, 226, 220), rng))
    draw = ImageDraw.Draw(image)
    pavement = size * rng.uniform(0.5, 0.62)
    x = -rng.uniform(0, 60)
    while x < size:
        w, top = rng.uniform(70, 130), rng.uniform(0, 0.3) * size
        wall = _vary(((196, 168, 148), (180, 184, 176), (204, 196, 172), (172, 160, 164))[int(rng.integers(4))], rng)
        draw.rectangle([x, top, x + w, pavement], fill=wall)
        darker = (wall[0] - 18, wall[1] - 18, wall[2] - 16)
        for k, y in enumerate(np.arange(top + 10, pavement, 14)):
            draw.line([x, y, x + w, y], fill=darker, width=1)
            for bx in np.arange(x + (k % 2) * 14, x + w, 28):
                draw.line([bx, y, bx, y + 14], fill=darker, width=1)
        for wx in np.arange(x + 14, x + w - 26, 38):
            for wy in np.arange(top + 18, pavement - 40, 52):
                draw.rectangle([wx, wy, wx + 20, wy + 28], fill=_vary((120, 140, 156), rng))
        x += w + rng.uniform(0, 8)
    draw.rectangle([0, pavement, size, pavement + 26], fill=_vary((190, 188, 184), rng))
    draw.rectangle([0, pavement + 26, size, size], fill=_vary((128, 130, 136), rng))
    lane = (pavement + 26 + size) / 2
    for lx in np.arange(-rng.uniform(0, 60), size, 72):
        draw.rectangle([lx, lane - 4, lx + 40, lane + 4], fill=(214, 212, 204))
    return image


def _harbour(size: int, rng: np.random.Generator) -> Image.Image:
    image = _gradient(size, _vary((178, 208, 226), rng), _vary((226, 232, 226), rng))
    draw = ImageDraw.Draw(image)
    sea, pier = size * rng.uniform(0.24, 0.36), size * rng.uniform(0.74, 0.86)
    draw.rectangle([0, sea, size, size], fill=_vary((108, 158, 182), rng))
    for y in np.arange(sea + 10, pier, 15):
        phase = rng.uniform(0, 6.28)
        tone = _vary((142, 186, 204), rng, 14)
        draw.line([(x, y + 3 * math.sin(phase + x / 13)) for x in range(0, size + 6, 6)], fill=tone, width=3)
    for _ in range(2):
        x, w, h = rng.uniform(0, size), rng.uniform(60, 150), rng.uniform(10, 34)
        draw.polygon(
            [(x - w, sea), (x - w * 0.3, sea - h), (x + w * 0.4, sea - h * 0.7), (x + w, sea)],
            fill=_vary((150, 170, 160), rng),
        )
    for k, x in enumerate(np.arange(0.0, size, 40).tolist()):
        draw.rectangle([x, pier, x + 38, size], fill=_vary((170, 142, 110) if k % 2 else (158, 130, 100), rng, 8))
    draw.rectangle([0, pier, size, pier + 7], fill=(128, 104, 80))
    return image


def _room(size: int, rng: np.random.Generator) -> Image.Image:
    wall = _vary(((222, 208, 190), (202, 214, 206), (214, 204, 216), (206, 212, 222))[int(rng.integers(4))], rng)
    image = Image.new("RGB", (size, size), wall)
    draw = ImageDraw.Draw(image)
    stripe = (wall[0] - 12, wall[1] - 12, wall[2] - 10)
    floor = size * rng.uniform(0.6, 0.75)
    for x in np.arange(0.0, size, 36).tolist():
        draw.rectangle([x, 0, x + 14, floor], fill=stripe)
        for y in np.arange(10.0, floor, 36).tolist():
            draw.ellipse([x + 22, y, x + 29, y + 7], fill=stripe)
    draw.rectangle([0, floor, size, size], fill=_vary((184, 150, 116), rng))
    for k, y in enumerate(np.arange(floor, size, 22).tolist()):
        draw.line([0, y, size, y], fill=(156, 124, 94), width=2)
        for x in np.arange((k % 3) * 40.0, size, 120).tolist():
            draw.line([x, y, x, y + 22], fill=(156, 124, 94), width=2)
    draw.rectangle([0, floor - 10, size, floor], fill=(236, 232, 224))
    x, y = rng.uniform(0.05, 0.6) * size, rng.uniform(0.06, 0.2) * size
    draw.rectangle([x, y, x + 110, y + 90], fill=(240, 238, 232))
    draw.rectangle([x + 8, y + 8, x + 102, y + 82], fill=_vary((176, 206, 224), rng))
    draw.line([x + 55, y + 8, x + 55, y + 82], fill=(240, 238, 232), width=6)
    return image


_PAINTERS: dict[str, Callable[[int, np.random.Generator], Image.Image]] = {
    "sky": _sky,
    "garden": _garden,
    "street": _street,
    "harbour": _harbour,
    "room": _room,
}


def _clutter(draw: ImageDraw.ImageDraw, size: int, rng: np.random.Generator) -> None:
    """Small stones, chips, rings and crosses in every hue: they look busy and are not objects of the vocabulary."""
    for _ in range(int(rng.integers(14, 27))):
        x, y, r = rng.uniform(0, size), rng.uniform(0, size), rng.uniform(5, 13)
        tone = _vary((150, 150, 150), rng, 80)
        kind = int(rng.integers(4))
        if kind == 0:
            draw.ellipse([x - r, y - r * 0.7, x + r, y + r * 0.7], fill=tone)
        elif kind == 1:
            turn = rng.uniform(0, 6.28)
            corners = [(x + r * math.cos(turn + a), y + r * math.sin(turn + a)) for a in (0, 2.1, 4.2)]
            draw.polygon(corners, fill=tone)
        elif kind == 2:
            draw.ellipse([x - r, y - r, x + r, y + r], outline=tone, width=4)
        else:
            draw.line([x - r, y - r, x + r, y + r], fill=tone, width=5)
            draw.line([x - r, y + r, x + r, y - r], fill=tone, width=5)


def background(theme: str, pixels: int, rng: np.random.Generator) -> Image.Image:
    """The backdrop of a scene: `pixels` x `pixels` RGB with a fine grain."""
    size = pixels * _SCALE
    image = _PAINTERS[theme](size, rng)
    _clutter(ImageDraw.Draw(image), size, rng)
    image = image.resize((pixels, pixels), Image.Resampling.BOX)
    coarse = rng.normal(0, 1, (pixels // 16 + 1, pixels // 16 + 1)).astype(np.float32)
    waves = np.asarray(Image.fromarray(coarse).resize((pixels, pixels), Image.Resampling.BICUBIC))
    grain = 4.0 * waves + rng.normal(0, 2.5, (pixels, pixels)).astype(np.float32)
    return Image.fromarray(np.clip(np.asarray(image, np.float32) + grain[..., None], 0, 255).astype(np.uint8))
