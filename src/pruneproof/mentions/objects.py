"""Objects of COCO that a caption mentions, as the official CHAIR code finds them (LisaAnne/Hallucination).

Its `utils/chair.py::CHAIR.caption_to_words` cuts a caption into words with NLTK, takes each word's singular, merges
double words and keeps those that its `data/synonyms.txt` lists. That file has no licence, so that the user supplies it,
or `mentions.wordnet` derives another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING

from pruneproof.errors import PruneProofError
from pruneproof.mentions.singular import singular

if TYPE_CHECKING:
    from nltk.tokenize.destructive import NLTKWordTokenizer
    from nltk.tokenize.punkt import PunktSentenceTokenizer

Lexicon = Mapping[str, str]
"""A word or double word in the singular -> the class that it names: `puppy` -> `dog`."""

_TOGETHER = (
    "motor bike",
    "motor cycle",
    "air plane",
    "traffic light",
    "street light",
    "traffic signal",
    "stop light",
    "fire hydrant",
    "stop sign",
    "parking meter",
    "suit case",
    "sports ball",
    "baseball bat",
    "baseball glove",
    "tennis racket",
    "wine glass",
    "hot dog",
    "cell phone",
    "mobile phone",
    "teddy bear",
    "hair drier",
    "potted plant",
    "laptop computer",
    "stove top oven",
    "home plate",
    "train track",
)
"""Two words that are one: a home plate is no plate, and a train track no train.

Some never occur: `stove top oven` has three words, and the singular of `sports ball` and `tennis racket` is
`sport ball` and `tenni racket`.
"""
_ANIMALS = ("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "animal", "cub")

DOUBLE_WORDS: Mapping[str, str] = (
    {double: double for double in _TOGETHER}
    | {f"{age} {animal}": animal for age in ("baby", "adult") for animal in _ANIMALS}
    | {f"passenger {vehicle}": vehicle for vehicle in ("jet", "train")}
    | {"bow tie": "tie", "toilet seat": "toilet", "wine glas": "wine glass"}
)
"""Double word in the singular -> what it counts as: a baby elephant is no baby; `glas` is the singular of `glass`."""

_ABBREVIATIONS = (
    "a.m",
    "ave",
    "co",
    "corp",
    "dr",
    "ft",
    "inc",
    "jr",
    "mr",
    "mrs",
    "ms",
    "p.m",
    "sr",
    "st",
    "u.s",
    "vs",
)
"""Words that a full stop does not end, of those that NLTK's English model lists. The model itself is a download."""


def lexicon(text: str) -> Lexicon:
    """Read a list of synonyms in the official format.

    A line is a class, then its synonyms, with a comma and one blank between them; a word of two classes belongs to the
    later one. The official quirks stay: a second blank belongs to the word, so that ` motor bike` is never found, and
    nor is `iPhone` in text that is in lower case.

    Args:
        text: content of the file, such as `"bus, minibus\\ndog, puppy"`.

    Raises:
        PruneProofError: if there is no class in it.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        words = line.strip().split(", ")
        if words[0]:
            found.update(dict.fromkeys(words, words[0]))
    if not found:
        raise PruneProofError("synonyms: no class in the file; write one a line, as in `dog, puppy, hound`")
    return found


def mentioned(caption: str, known: Lexicon) -> list[str]:
    """Classes that a caption mentions, in order and with repeats.

    Args:
        caption: text of any case.
        known: from `lexicon`.

    Examples:
        >>> mentioned("A baby elephant and two men on the seat of a toilet.", lexicon("elephant\\nman\\ntoilet\\nseat"))
        ['elephant', 'man', 'toilet']
    """
    words = list(_merged([singular(word) for word in _words(caption.lower())]))
    if "toilet" in words and "seat" in words:  # the seat of a toilet is no chair
        words = [word for word in words if word != "seat"]
    return [known[word] for word in words if word in known]


def in_picture(categories: Iterable[str], references: Iterable[str], known: Lexicon) -> frozenset[str]:
    """Classes in a picture: those that are segmented, and those that people mention, because masks are incomplete.

    Args:
        categories: names of the COCO categories of its instances.
        references: what people wrote about it.
        known: from `lexicon`.

    Raises:
        PruneProofError: if the lexicon lacks a category.
    """
    categories = set(categories)
    missing = sorted(categories.difference(known))
    if missing:
        raise PruneProofError(f"synonyms: category {missing[0]!r} is not in the file; add it as a line of its own")
    people = {name for caption in references for name in mentioned(caption, known)}
    return frozenset({known[category] for category in categories} | people)


def _merged(words: list[str]) -> Iterator[str]:
    position = 0
    while position < len(words):
        double = DOUBLE_WORDS.get(" ".join(words[position : position + 2]))
        yield words[position] if double is None else double
        position += 1 if double is None else 2


def _words(text: str) -> list[str]:
    sentences, words = _tokenizers()
    return [word for sentence in sentences.tokenize(text) for word in words.tokenize(sentence)]


@cache
def _tokenizers() -> tuple[PunktSentenceTokenizer, NLTKWordTokenizer]:
    """Of sentences and of words; importing NLTK takes longer than a second, and most who know this module cut none."""
    from nltk.tokenize.destructive import NLTKWordTokenizer
    from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

    parameters = PunktParameters()
    parameters.abbrev_types.update(_ABBREVIATIONS)
    return PunktSentenceTokenizer(parameters), NLTKWordTokenizer()
