"""What the language model computes for some questions: reading prompts, and continuing them token by token.

Questions on one picture share the reading of everything up to the end of the image where they see the same tokens
(`backbones.language.sharing`); where a method looks at the question, each prompt is read alone, and inside the language
model alone from the layer on that first drops a token (`backbones.language.narrowing`). Only the last position of a
prompt passes the last layer whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from pruneproof.planning.amounts import Amount
from pruneproof.planning.languages import Language
from pruneproof.stored import ROWS_PER_GROUP

COPIES = 3
"""Times that keys and values pass through memory for one further token: the cache is copied to make room for it, and
then looked at."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Questions that are asked under one condition, batch of pictures by batch of pictures."""

    pictures: float
    questions: float
    """On all pictures together."""
    before: int
    """Positions before the image."""
    after: float
    """Positions after it: the question, and the template around it; the mean."""
    steps: float
    """Tokens that are decoded after the first, the end among them."""

    @property
    def each(self) -> float:
        """Questions on one picture."""
        return self.questions / self.pictures if self.pictures else 0.0

    @property
    def batches(self) -> float:
        """Batches of pictures that are answered together."""
        return ceil(self.pictures / ROWS_PER_GROUP)

    @property
    def together(self) -> float:
        """Pictures of one batch, the mean."""
        return self.pictures / self.batches if self.batches else 0.0


@dataclass(frozen=True, slots=True)
class Read:
    """What a pool takes."""

    prefill: Amount
    decode: Amount


def shared(language: Language, pool: Pool, kept: int, rows: int, number: int) -> Read:
    """Questions that see the same tokens of a picture.

    Args:
        language: the model.
        pool: the questions.
        kept: visual tokens that are left.
        rows: most rows of one forward (PRUNEPROOF_BATCH); twice as many questions are packed into one.
        number: bytes of a number.
    """
    if not pool.questions:
        return Read(Amount(), Amount())
    if pool.each <= 1 or language.both_ways:
        return alone(language, pool, kept, rows, number)
    turns = ceil(pool.each / (2 * rows))
    start, packed = pool.before + _visual(language, kept), pool.each * pool.after / turns
    asked = pool.each / turns
    beginning = language.run(start, 0) - language.skipped(start) * (start - 1)
    following = _run(language, packed, start) - language.skipped(round(start + packed)) * (packed - asked)
    picture = beginning + turns * (following + asked * language.head)
    forwards = pool.batches * ceil(pool.together / rows)
    token = _run(language, asked, start + packed) + asked * language.head
    held = COPIES * language.cached * (start + packed) * number
    weights = language.weights * number
    steps = forwards * turns * pool.steps
    return Read(
        Amount(
            picture * pool.pictures,
            forwards * (1 + turns) * language.calls,
            forwards * (1 + turns) * weights,
        ),
        Amount(
            token * turns * pool.steps * pool.pictures,
            steps * language.calls,
            steps * weights + pool.pictures * turns * pool.steps * held,
        ),
    )


def alone(language: Language, pool: Pool, kept: int, rows: int, number: int) -> Read:
    """Questions whose prompts are read one by one; arguments as of `shared`."""
    if not pool.questions:
        return Read(Amount(), Amount())
    length = pool.before + _visual(language, kept) + pool.after
    prompt = _run(language, length, 0) - language.skipped(round(length)) * (length - 1) + language.head
    forwards = pool.batches * _parts(pool, language, rows)
    return Read(
        Amount(prompt * pool.questions, forwards * language.calls, forwards * language.weights * number),
        _decoded(language, pool, [length] * language.layers, forwards, number),
    )


def narrowed(language: Language, pool: Pool, budget: Sequence[int], rows: int, number: int) -> Read:
    """Questions whose prompts lose visual tokens inside the language model.

    Args:
        language: the model.
        pool: the questions.
        budget: visual tokens that each layer reads.
        rows: as of `shared`.
        number: as of `shared`.
    """
    if not pool.questions:
        return Read(Amount(), Amount())
    layers, start = language.layers, pool.before + budget[0]
    whole = next((layer for layer, count in enumerate(budget) if count != budget[0]), layers - 1)
    whole = min(whole, layers - 1)  # the last layer is for each prompt alone
    lengths = [pool.before + count + pool.after for count in budget]
    parts = _parts(pool, language, rows)
    beginnings = pool.batches * min(pool.together * pool.each, pool.together + parts - 1)
    first = _run(language, _some(start, 0, whole, layers), 0)
    following = _run(language, _some(pool.after, 0, whole, layers), _some(start, 0, whole, layers))
    rest = _run(language, [0.0] * whole + lengths[whole:], 0)
    rest += language.head - language.skipped(round(lengths[-1])) * (lengths[-1] - 1)
    forwards = pool.batches * parts
    return Read(
        Amount(
            first * beginnings + (following + rest) * pool.questions,
            forwards * (layers + whole),
            forwards * language.weights * number,
        ),
        _decoded(language, pool, lengths, forwards, number),
    )


def _decoded(language: Language, pool: Pool, lengths: Sequence[float], forwards: float, number: int) -> Amount:
    """Further tokens of prompts that lie in rows of their own, each of its length in every layer."""
    token = _run(language, 1, lengths) + language.head
    held = COPIES * language.cached * sum(lengths) / len(lengths) * number
    steps = forwards * pool.steps
    return Amount(
        token * pool.questions * pool.steps,
        steps * language.calls,
        steps * language.weights * number + pool.questions * pool.steps * held,
    )


def _visual(language: Language, kept: int) -> int:
    return kept if language.visual is None else language.visual


def _parts(pool: Pool, language: Language, rows: int) -> int:
    """Forwards of one batch of pictures; an encoder takes the questions of one picture at a time."""
    if language.both_ways and pool.each > 1:
        return ceil(pool.together) * ceil(pool.each / (2 * rows))
    return ceil(pool.together * pool.each / rows)


def _some(first: float, then: float, count: int, layers: int) -> list[float]:
    return [first] * count + [then] * (layers - count)


def _run(language: Language, new: float | Sequence[float], cached: float | Sequence[float]) -> float:
    """`Language.run` of numbers that are means: attention is linear in each of them for itself."""
    return language.run(_whole(new), _whole(cached))


def _whole(tokens: float | Sequence[float]) -> int | list[int]:
    return round(tokens) if isinstance(tokens, int | float) else [round(one) for one in tokens]
