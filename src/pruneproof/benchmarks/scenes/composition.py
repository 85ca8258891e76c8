"""A scene as data (what is where) and its drawing: pixels, masks and boxes from one random stream."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from pruneproof.benchmarks.scenes.backgrounds import background
from pruneproof.benchmarks.scenes.glyphs import GLYPHS
from pruneproof.benchmarks.scenes.vocabulary import COLOURS, NEIGHBOURS, NOUNS, THEMES
from pruneproof.seeds import generator

PIXELS = 224
"""Side of a scene: the size that ImageNet-C's constants are made for, and 16 x 16 patches of 14 pixels."""

_SIZES = {"small": (21.0, 25.0), "medium": (26.0, 30.0), "large": (34.0, 42.0)}
_SIZE_ODDS = (0.50, 0.38, 0.12)
"""Most objects show in three to five patches, so that dropping patches at random loses some of them."""
_OVERSAMPLE = 3
_FIXED = {
    "dark": (44, 44, 52),
    "light": (248, 246, 236),
    "leaf": (70, 138, 74),
    "wood": (134, 96, 66),
    "glow": (252, 200, 60),
}
_OUTLINE = (40, 38, 46)


@dataclass(frozen=True, slots=True)
class Placed:
    """One object of a scene before drawing."""

    noun: str
    colour: str
    x: float
    """Centre in pixels, to the right."""
    y: float
    """Centre in pixels, down."""
    extent: float
    """Side in pixels of the square that the glyph's [-1, 1] square is scaled to."""
    turn: float
    """Rotation in degrees."""
    mirrored: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """What a scene holds; objects later in the tuple are drawn over earlier ones."""

    scene_id: str
    theme: str
    objects: tuple[Placed, ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawn scene."""

    pixels: NDArray[np.uint8]
    """224 x 224 x 3, RGB."""
    masks: NDArray[np.bool_]
    """objects x 224 x 224: the pixels of each object that nothing covers."""

    def boxes(self) -> list[tuple[int, int, int, int]]:
        """(x0, y0, x1, y1) of each mask in pixels, x1 and y1 exclusive."""
        found = []
        for mask in self.masks:
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            found.append((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1))
        return found


def _draw_noun(theme: str, taken: set[str], rng: np.random.Generator) -> str:
    own = rng.random() < 0.72
    themes = (theme,) if own else NEIGHBOURS[theme]
    choices = [noun for noun in NOUNS if noun.theme in themes and noun.name not in taken]
    if not choices:
        choices = [noun for noun in NOUNS if noun.name not in taken]
    odds = np.array([noun.weight for noun in choices])
    return choices[int(rng.choice(len(choices), p=odds / odds.sum()))].name


def _groups(theme: str, rng: np.random.Generator) -> list[str]:
    """Nouns of a scene with repetitions: 1 to 12 objects, mostly 8 to 12, each class one to four times."""
    total = int(rng.integers(8, 13)) if rng.random() < 0.84 else int(rng.integers(1, 8))
    nouns: list[str] = []
    taken: set[str] = set()
    while len(nouns) < total:
        noun = _draw_noun(theme, taken, rng)
        taken.add(noun)
        times = int(rng.choice((1, 2, 3, 4), p=(0.68, 0.14, 0.10, 0.08)))
        nouns += [noun] * min(times, total - len(nouns))
    return nouns


def _overlaps(candidate: Placed, others: list[Placed]) -> bool:
    """Whether the candidate would hide, or be hidden by, more than about a tenth of another object."""
    return any(
        max(abs(candidate.x - other.x), abs(candidate.y - other.y)) < 0.44 * (candidate.extent + other.extent)
        for other in others
    )


def compose(study_seed: int, scene_id: str) -> Scene:
    """The content of a scene; depends on its two arguments alone.

    An object that finds no free place in 60 tries is left out, so a scene has 1 to 12 objects.
    """
    rng = generator(study_seed, "scene", scene_id)
    theme = str(rng.choice(THEMES))
    placed: list[Placed] = []
    for noun in _groups(theme, rng):
        low, high = _SIZES[str(rng.choice(tuple(_SIZES), p=_SIZE_ODDS))]
        for _ in range(60):
            extent = float(rng.uniform(low, high))
            x, y = (float(v) for v in rng.uniform(extent / 2, PIXELS - extent / 2, size=2))
            candidate = Placed(
                noun,
                str(rng.choice(tuple(COLOURS))),
                x,
                y,
                extent,
                float(rng.uniform(-12, 12)),
                bool(rng.random() < 0.5),
            )
            if not _overlaps(candidate, placed):
                placed.append(candidate)
                break
    return Scene(scene_id, theme, tuple(placed))


def _palette(colour: str, rng: np.random.Generator) -> dict[str, tuple[int, int, int, int]]:
    base = np.clip(np.asarray(COLOURS[colour]) + rng.integers(-12, 13, size=3), 0, 255)
    mixes = {"body": base, "shade": base * 0.74, "tint": base * 0.62 + 255 * 0.38}
    palette = {name: tuple(int(v) for v in mix) for name, mix in mixes.items()} | _FIXED
    return {name: (r, g, b, 255) for name, (r, g, b) in palette.items()} | {"clear": (0, 0, 0, 0)}


def _sprite(placed: Placed, rng: np.random.Generator) -> Image.Image:
    """The object alone as RGBA, with a thin outline and light from above."""
    half = placed.extent / 2 * _OVERSAMPLE
    side = 2 * math.ceil(placed.extent / 2 * 1.2 + 2) * _OVERSAMPLE
    palette = _palette(placed.colour, rng)
    sprite = Image.new("RGBA", (side, side))
    draw = ImageDraw.Draw(sprite)
    cosine, sine = math.cos(math.radians(placed.turn)), math.sin(math.radians(placed.turn))
    flip = -1.0 if placed.mirrored else 1.0
    for shape in GLYPHS[placed.noun]:
        corners = [
            (side / 2 + half * (flip * x * cosine - y * sine), side / 2 + half * (flip * x * sine + y * cosine))
            for x, y in shape.points
        ]
        draw.polygon(corners, fill=palette[shape.paint])
    alpha = sprite.getchannel("A")
    outlined = Image.new("RGBA", (side, side), (*_OUTLINE, 0))
    outlined.putalpha(alpha.filter(ImageFilter.MaxFilter(5)))
    outlined.alpha_composite(sprite)
    light = np.linspace(1.10, 0.88, side, dtype=np.float32)[:, None, None]
    shaded = np.asarray(outlined, np.float32)
    shaded[..., :3] = np.clip(shaded[..., :3] * light, 0, 255)
    return Image.fromarray(shaded.astype(np.uint8), "RGBA").resize((side // _OVERSAMPLE,) * 2, Image.Resampling.BOX)


def draw(study_seed: int, scene: Scene) -> Drawing:
    """Draw a scene; depends on its two arguments alone."""
    rng = generator(study_seed, "drawing", scene.scene_id)
    canvas = background(scene.theme, PIXELS, rng).convert("RGBA")
    masks = np.zeros((len(scene.objects), PIXELS, PIXELS), dtype=bool)
    for index, placed in enumerate(scene.objects):
        sprite = _sprite(placed, rng)
        left, top = round(placed.x - sprite.width / 2), round(placed.y - sprite.height / 2)
        sprite = sprite.crop(
            (max(0, -left), max(0, -top), min(sprite.width, PIXELS - left), min(sprite.height, PIXELS - top))
        )
        left, top = max(0, left), max(0, top)
        canvas.alpha_composite(sprite, (left, top))
        window = (slice(top, top + sprite.height), slice(left, left + sprite.width))
        mask = np.asarray(sprite.getchannel("A")) > 127
        masks[(slice(0, index), *window)] &= ~mask
        masks[(index, *window)] = mask
    return Drawing(np.asarray(canvas.convert("RGB")), masks)
