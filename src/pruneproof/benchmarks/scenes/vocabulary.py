"""What scenes are made of: nouns with WordNet synonyms, colours, themes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Noun:
    """A class of objects that questions ask for."""

    name: str
    plural: str
    theme: str
    """The theme it belongs to; nouns of one theme occur together."""
    weight: float = 1.0
    """Relative frequency inside its theme: unequal, so that POPE's popular sampling differs from random."""
    synonyms: tuple[tuple[str, str], ...] = ()
    """(singular, plural) lemmas that share a WordNet 3.0 synset with the noun."""


NOUNS: tuple[Noun, ...] = (
    Noun("car", "cars", "street", 2.0, (("automobile", "automobiles"), ("auto", "autos"), ("motorcar", "motorcars"))),
    Noun("bus", "buses", "street", 1.0, (("autobus", "autobuses"), ("omnibus", "omnibuses"))),
    Noun("bicycle", "bicycles", "street", 1.5, (("bike", "bikes"), ("cycle", "cycles"))),
    Noun("truck", "trucks", "street", 1.0, (("motortruck", "motortrucks"),)),
    Noun("mailbox", "mailboxes", "street", 0.7, (("letter box", "letter boxes"),)),
    Noun("flower", "flowers", "garden", 2.0, (("blossom", "blossoms"), ("bloom", "blooms"))),
    Noun("tree", "trees", "garden", 1.5),
    Noun("mushroom", "mushrooms", "garden", 0.7),
    Noun("bucket", "buckets", "garden", 0.8, (("pail", "pails"),)),
    Noun("butterfly", "butterflies", "garden", 1.0),
    Noun("sailboat", "sailboats", "harbour", 2.0, (("sailing boat", "sailing boats"),)),
    Noun("lighthouse", "lighthouses", "harbour", 0.8, (("beacon", "beacons"), ("pharos", "pharoses"))),
    Noun("barrel", "barrels", "harbour", 1.0, (("cask", "casks"),)),
    Noun("fish", "fish", "harbour", 1.5),
    Noun("anchor", "anchors", "harbour", 0.8),
    Noun("airplane", "airplanes", "sky", 1.5, (("aeroplane", "aeroplanes"), ("plane", "planes"))),
    Noun("balloon", "balloons", "sky", 2.0),
    Noun("kite", "kites", "sky", 1.0),
    Noun("rocket", "rockets", "sky", 0.7),
    Noun("sofa", "sofas", "room", 1.0, (("couch", "couches"), ("lounge", "lounges"))),
    Noun("television", "televisions", "room", 0.8, (("tv", "tvs"),)),
    Noun("book", "books", "room", 2.0, (("volume", "volumes"),)),
    Noun("hat", "hats", "room", 1.2, (("chapeau", "chapeaus"),)),
    Noun("umbrella", "umbrellas", "room", 1.0),
)

NOUN_NAMES: tuple[str, ...] = tuple(noun.name for noun in NOUNS)
BY_NAME: dict[str, Noun] = {noun.name: noun for noun in NOUNS}

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 48, 49),
    "orange": (240, 132, 30),
    "yellow": (246, 211, 48),
    "green": (58, 160, 72),
    "blue": (44, 98, 200),
    "purple": (128, 62, 176),
    "white": (243, 243, 240),
}
"""Colour name to sRGB; the drawn colour is jittered around it."""

THEMES: tuple[str, ...] = ("street", "garden", "harbour", "sky", "room")

NEIGHBOURS: dict[str, tuple[str, ...]] = {
    "street": ("garden", "room"),
    "garden": ("street", "sky"),
    "harbour": ("sky", "street"),
    "sky": ("harbour", "garden"),
    "room": ("garden", "street"),
}
"""Themes that lend the objects which are not of the scene's own theme."""


def with_article(noun: str) -> str:
    """`an airplane`, `a car`; by sound where the first letter misleads (`a unicycle` does not occur here)."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def surface_forms() -> dict[str, list[str]]:
    """Every way a class is named in text: class -> [name, plural, synonyms, their plurals]."""
    return {
        noun.name: sorted(
            {noun.name, noun.plural, *(form for pair in noun.synonyms for form in pair)}, key=lambda s: (-len(s), s)
        )
        for noun in NOUNS
    }
