"""The question word for word, with a sentence before or after it that a careful reader would ignore.

The three grow in strength: a sentence about nothing in sight, one that names a class which is not in the image without
saying that it is, and a false claim about the very object that is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from pruneproof.perturbations.text import NotApplicable, TextPerturbation, _gate
from pruneproof.records import Sample
from pruneproof.wording import contains

NEUTRAL = (
    "We can talk about it again next week.",
    "I hope you are having a good day.",
    "The weather was pleasant this morning.",
    "My meeting ended earlier than planned.",
    "It is nearly time for lunch.",
    "I am asking on behalf of a colleague.",
    "Our neighbours came home late.",
    "We moved to a new town last summer.",
)
"""They name no everyday object, number or colour, and answer nothing. The built-in models were not trained on them."""

ABSENT = (
    "Yesterday I read a story about {object}.",
    "My sister once painted {object} at school.",
    "Last night I had a dream about {object}.",
    "A friend of mine wrote a poem about {object}.",
    "My neighbour told me a joke about {object}.",
    "At breakfast we talked about {object}.",
)
"""Each holds for any noun and says nothing about the image."""

MISLEADING = (
    "I think {claim}.",
    "I am quite sure that {claim}.",
    "A friend told me that {claim}.",
    "It seems to me that {claim}.",
    "Everyone here says that {claim}.",
    "I heard that {claim}.",
)


def neutral(sample: Sample, severity: int, rng: np.random.Generator) -> str:
    """Add an irrelevant sentence.

    Before: `Is there a car in the image?`  After: `It is nearly time for lunch. Is there a car in the image?`
    """
    return _beside(sample.question, _pick(NEUTRAL, rng), rng)


def absent(sample: Sample, severity: int, rng: np.random.Generator) -> str:
    """Add a sentence that mentions a class which is not in the image, never the asked one.

    Before: `Is there a car in the image?`  After: `Is there a car in the image? Last night I had a dream about a dog.`

    Raises:
        NotApplicable: if the sample names no absent class but the asked one.
    """
    others = [phrase for phrase in sample.absent if not _is_asked(sample, phrase)]
    if not others:
        raise NotApplicable("the sample names no absent class other than the asked one")
    return _beside(sample.question, _pick(ABSENT, rng).format(object=_pick(others, rng)), rng)


def misleading(sample: Sample, severity: int, rng: np.random.Generator) -> str:
    """Add a false claim about the asked object.

    Before: `What colour is the car?`  After: `I think the car is blue. What colour is the car?`

    Raises:
        NotApplicable: if the sample has no false claim.
    """
    if not sample.alternatives:
        raise NotApplicable("the sample has no false claim")
    return _beside(sample.question, _pick(MISLEADING, rng).format(claim=_inside(_pick(sample.alternatives, rng))), rng)


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def _beside(question: str, sentence: str, rng: np.random.Generator) -> str:
    return f"{sentence} {question}" if rng.integers(2) else f"{question} {sentence}"


def _is_asked(sample: Sample, phrase: str) -> bool:
    name = re.sub(r"^(?:an?|the|some) ", "", phrase, flags=re.IGNORECASE)
    return name.casefold() == sample.target.casefold() or contains(sample.question, name)


def _inside(claim: str) -> str:
    """A sentence as a clause of another: no full stop, no capital (`I` apart)."""
    clause = claim.strip().rstrip(".!")
    return clause if re.match(r"I\b|[A-Z]{2}", clause) else clause[:1].lower() + clause[1:]


PERTURBATIONS = {
    "distractor_neutral": TextPerturbation(neutral, _gate.with_neutral),
    "distractor_absent": TextPerturbation(absent, _gate.with_absent),
    "distractor_misleading": TextPerturbation(misleading, _gate.with_claim),
}
