"""Dialogues: consecutive questions on one image, and which of them a method selects its tokens by.

Every question of an image is asked once as each turn, after other questions with their true answers, as VisDial is
evaluated (Das et al., 2017): methods differ in what they kept and not in what they said before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pruneproof.backbones import History
from pruneproof.records import Condition, Sample, dialogue_name
from pruneproof.settings import DialogueSettings, SelectBy


@dataclass(frozen=True, slots=True)
class Turn:
    """One question with what was said before it."""

    question: str
    history: History
    selecting: str
    """The question that tokens are selected by; empty for this one."""


def conditions(settings: DialogueSettings) -> tuple[Condition, ...]:
    """Every choice at each turn, whose number takes the place of a perturbation's severity."""
    return tuple(
        Condition("dialogue", dialogue_name(chosen), turn)
        for chosen in settings.select_by
        for turn in range(1, settings.turns + 1)
    )


def select_by(settings: DialogueSettings, condition: Condition) -> SelectBy:
    """Which turn's question a condition selects by."""
    return next(chosen for chosen in settings.select_by if dialogue_name(chosen) == condition.perturbation)


def in_turn(
    samples: Sequence[Sample], turn: int, turns: int, chosen: SelectBy, rng: np.random.Generator
) -> Iterator[tuple[Sample, Turn]]:
    """The questions on one image, each as a given turn of a dialogue.

    The questions are arranged in a circle, and a dialogue begins at each of them, so every question is asked once as
    each turn. Nothing is asked on an image with fewer questions than turns.

    Args:
        samples: of one image.
        turn: from 1.
        turns: length of a dialogue.
        chosen: `first`, `last` or `each`.
        rng: of this image; the same for every turn and choice.
    """
    circle = _circle([sample for sample in samples if sample.asks != "caption"], turns, rng)
    count = len(circle)
    if count < turns:
        return
    place = {sample.question: at for at, sample in enumerate(circle)}
    for sample in samples:
        if sample.question not in place:
            continue
        at = place[sample.question]
        first = at - turn + 1
        by = {"first": first, "last": first + turns - 1, "each": at}[chosen]
        before = (circle[i % count] for i in range(first, at))
        history = tuple((earlier.question, earlier.answer) for earlier in before)
        yield sample, Turn(sample.question, history, circle[by % count].question)


def _circle(samples: Sequence[Sample], apart: int, rng: np.random.Generator) -> list[Sample]:
    """One sample for each different question, in random order; those on one object are kept `apart` if possible.

    An answer about an object would otherwise often be given away by the turn before it.
    """
    different = list({sample.question: sample for sample in samples}.values())
    waiting = [different[i] for i in rng.permutation(len(different))]
    found: list[Sample] = []
    while waiting:
        recent = set[str | int]().union(*(_objects(sample) for sample in found[max(0, len(found) - apart + 1) :]))
        at = next((i for i, sample in enumerate(waiting) if not _objects(sample) & recent), 0)
        found.append(waiting.pop(at))
    return found


def _objects(sample: Sample) -> set[str | int]:
    """What a question is about: its class, and every object that its answer is read from."""
    found: set[str | int] = {sample.target, *sample.target_objects}
    return found - {""}
