"""What is true of a scene: the facts that every question, in training or in the benchmark, is made from."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

from pruneproof.benchmarks.scenes.composition import PIXELS, Placed, Scene
from pruneproof.benchmarks.scenes.vocabulary import BY_NAME, NOUN_NAMES, with_article

Axis = Literal["horizontal", "vertical"]

CLEAR_GAP = 30.0
"""Pixels that two centres must differ by along an axis before a relation is asked."""

MOST_COUNTED = 4


@dataclass(frozen=True, slots=True)
class Relation:
    """`noun` is on `side` (left, right, above, below) of `other`; both classes occur once."""

    noun: str
    other: str
    axis: Axis
    side: str


def counts(scene: Scene) -> Counter[str]:
    """Objects of each class that is present."""
    return Counter(placed.noun for placed in scene.objects)


def present(scene: Scene) -> tuple[str, ...]:
    """Classes in the scene, in the vocabulary's order."""
    return tuple(name for name in NOUN_NAMES if name in counts(scene))


def absent(scene: Scene) -> tuple[str, ...]:
    """Classes that are not in the scene, in the vocabulary's order."""
    return tuple(name for name in NOUN_NAMES if name not in counts(scene))


def single(scene: Scene) -> dict[str, Placed]:
    """Classes that occur exactly once, with their object."""
    occurring = counts(scene)
    return {placed.noun: placed for placed in scene.objects if occurring[placed.noun] == 1}


def relations(scene: Scene) -> tuple[Relation, ...]:
    """All ordered pairs of single objects that are clearly apart along an axis."""
    found = []
    for (noun, a), (other, b) in permutations(single(scene).items(), 2):
        if abs(a.x - b.x) >= CLEAR_GAP:
            found.append(Relation(noun, other, "horizontal", "left" if a.x < b.x else "right"))
        if abs(a.y - b.y) >= CLEAR_GAP:
            found.append(Relation(noun, other, "vertical", "above" if a.y < b.y else "below"))
    return tuple(found)


def half(placed: Placed, axis: Axis) -> str | None:
    """The half of the image that an object is clearly in (`left`, `right`, `top`, `bottom`), None near the middle."""
    offset = (placed.x if axis == "horizontal" else placed.y) - PIXELS / 2
    if abs(offset) < CLEAR_GAP / 2:
        return None
    names = ("left", "right") if axis == "horizontal" else ("top", "bottom")
    return names[offset > 0]


def caption(scene: Scene) -> str:
    """A sentence that names every class with its number, in the vocabulary's order; a single object with its colour.

    Example: `a red car, two trees and a white kite`.
    """
    words = {2: "two", 3: "three", 4: "four"}
    singles, occurring = single(scene), counts(scene)
    parts = [
        with_article(f"{singles[noun].colour} {noun}")
        if noun in singles
        else f"{words.get(occurring[noun], 'many')} {BY_NAME[noun].plural}"
        for noun in present(scene)
    ]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
