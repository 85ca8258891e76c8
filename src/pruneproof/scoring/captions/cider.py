"""CIDEr-D as pycocoevalcap computes it (Vedantam et al., 2015; salaniz/pycocoevalcap, `cider/cider_scorer.py`)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pruneproof.errors import PruneProofError
from pruneproof.scoring.captions import ngrams

Floats = NDArray[np.float64]

SIGMA = 6.0
"""Width of the Gaussian penalty for a difference in length, in bigrams."""


@dataclass(frozen=True, slots=True)
class Documents:
    """In how many pictures' references an n-gram occurs: what makes a word rare.

    The official code counts them in the references it evaluates, so a score on a subset does not compare with one on
    the whole set. Count once, over the set that a published number refers to, and give the result to `prepare`.
    """

    images: int
    counts: Mapping[str, int]
    """N-gram, its words with single blanks between them -> pictures."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """References ready to be compared with captions; preparing them takes most of the time."""

    vectors: tuple[tuple[_Vector, ...], ...]
    rarity: _Rarity


def documents(references: Iterable[Sequence[str]]) -> Documents:
    """Count the pictures whose references hold each n-gram.

    Args:
        references: for each picture its reference captions, tokens with white space between them.
    """
    images = 0
    counts: dict[str, int] = {}
    for captions in references:
        images += 1
        for ngram in {ngram for caption in captions for table in ngrams.count(caption) for ngram in table}:
            counts[ngram] = counts.get(ngram, 0) + 1
    return Documents(images, counts)


def prepare(references: Sequence[Sequence[str]], known: Documents | None = None) -> Prepared:
    """Make the references' vectors.

    Args:
        references: for each picture its reference captions, tokens with white space between them.
        known: counts of a fixed set; by default those of `references`, as in the official code.

    Raises:
        PruneProofError: if a picture has no references.
    """
    bare = next((number for number, captions in enumerate(references) if not captions), None)
    if bare is not None:
        raise PruneProofError(f"captions: picture {bare} of {len(references)} has no reference; leave it out")
    rarity = _Rarity(known or documents(references))
    return Prepared(tuple(tuple(_Vector(caption, rarity) for caption in captions) for captions in references), rarity)


def score(candidates: Sequence[str], prepared: Prepared) -> Floats:
    """CIDEr-D of each caption, 0 to 10; the score of a set is their mean.

    The official quirks are kept: the penalty compares numbers of bigrams, so that a caption of one word is as long as
    an empty one; a set of one picture scores 0, because nothing in it is rare.

    Args:
        candidates: one caption for each picture of `prepared`, tokens with white space between them.
        prepared: from `prepare`.
    """
    sums = np.zeros((len(candidates), ngrams.LONGEST))
    for row, candidate, vectors in zip(sums, candidates, prepared.vectors, strict=True):
        said = _Vector(candidate, prepared.rarity)
        for vector in vectors:
            row += said.similarity(vector)
    several = np.array([len(vectors) for vectors in prepared.vectors], float)
    scores: Floats = sums.mean(1) / several * 10.0
    return scores


class _Rarity(dict[str, float]):
    """The inverse document frequency of n-grams, worked out when it is first asked for."""

    def __init__(self, known: Documents) -> None:
        super().__init__()
        self._all = math.log(known.images) if known.images else 0.0
        self._counts = known.counts

    def __missing__(self, ngram: str) -> float:
        # An n-gram that no reference holds counts as if one did.
        self[ngram] = weight = self._all - math.log(max(1.0, self._counts.get(ngram, 0)))
        return weight


class _Vector:
    """One caption: frequency times rarity of its n-grams, by their length.

    Sums are plain loops in the official order: `sum` rounds differently from one Python to the next.
    """

    __slots__ = ("bigrams", "norms", "weights")

    def __init__(self, caption: str, rarity: _Rarity) -> None:
        tables = ngrams.count(caption)
        self.bigrams = sum(tables[1].values())
        self.weights = [{ngram: times * rarity[ngram] for ngram, times in table.items()} for table in tables]
        self.norms = []
        for weights in self.weights:
            square = 0.0
            for weight in weights.values():
                square += weight * weight
            self.norms.append(math.sqrt(square))

    def similarity(self, reference: _Vector) -> list[float]:
        """Clipped cosine with a reference for each length of n-gram, times the penalty for another length."""
        difference = float(self.bigrams - reference.bigrams)
        penalty = math.e ** (-(difference**2) / (2 * SIGMA**2))
        values = []
        for mine, theirs, norm, other in zip(self.weights, reference.weights, self.norms, reference.norms, strict=True):
            shared = 0.0
            for ngram, weight in mine.items():
                if (there := theirs.get(ngram)) is not None:
                    shared += min(weight, there) * there
            if norm and other:
                shared /= norm * other
            values.append(shared * penalty)
        return values
