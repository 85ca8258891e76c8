"""POPE's questions: is there such an object in the image?"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pruneproof.records import EXISTENCE, Sample

SCORERS = ("pope", "pope_lmms_eval", "pope_vlmevalkit")
"""The official rule decides; beside it the two harnesses that most numbers since come from."""

_ASKED = re.compile(r"Is there an? (.+) in the iman?ge\?")
"""The official template, and what its code makes of it before a vowel: `utils.py::create_question` of AoiDragon/POPE
puts `an` for every `a`, so that some versions ask about the `imange`."""

_PLURAL = frozenset({"scissors", "skis"})
_UNCOUNTED = frozenset({"broccoli"})
"""Classes of COCO that take no article; the official questions give them one all the same."""


def question(noun: str) -> str:
    """The official question.

    Examples:
        >>> question("oven"), question("skis")
        ('Is there an oven in the image?', 'Is there a skis in the image?')
    """
    return f"Is there {'an' if noun[0] in 'aeiou' else 'a'} {noun} in the image?"


def asked(text: str) -> str:
    """The object that a question of the official form asks for; empty for any other question.

    Examples:
        >>> asked("Is there an oven in the imange?"), asked("Is it raining?")
        ('oven', '')
    """
    found = _ASKED.fullmatch(text)
    return found[1] if found else ""


def mention(noun: str) -> str:
    """An object as a sentence mentions it: `an oven`, `some skis`."""
    return f"{_article(noun)} {noun}"


def false_claim(noun: str, there: bool) -> str:
    """The opposite of the truth about an object, as a sentence."""
    verb = "are" if noun in _PLURAL else "is"
    return f"There {verb} {'no' if there else _article(noun)} {noun} in the image."


def sample(
    image_id: str,
    split: str,
    number: int,
    text: str,
    there: bool,
    absent: Iterable[str],
    targets: tuple[int, ...] = (),
) -> Sample:
    """One question of one of POPE's samplings.

    Args:
        image_id: the picture.
        split: `random`, `popular` or `adversarial`.
        number: of the question in its sampling.
        text: the question.
        there: whether the asked object is in the picture.
        absent: names of objects that are not; the asked one is left out.
        targets: ids of the objects that the answer is read from.
    """
    noun, answer = asked(text), "yes" if there else "no"
    return Sample(
        sample_id=f"{image_id}/{EXISTENCE}/{split}/{number}",
        image_id=image_id,
        kind=EXISTENCE,
        question=text,
        answer=answer,
        split=split,
        target=noun,
        target_objects=targets,
        protected=(noun,) if noun else (),
        absent=tuple(mention(other) for other in absent if other != noun),
        alternatives=(false_claim(noun, there),) if noun else (),
        scorers=SCORERS,
    )


def _article(noun: str) -> str:
    if noun in _PLURAL | _UNCOUNTED:
        return "some"
    return "an" if noun[0] in "aeiou" else "a"
