"""BLEU-1 to BLEU-4 as pycocoevalcap computes them (Papineni et al., 2002; `bleu/bleu_scorer.py`, option `closest`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pruneproof.errors import PruneProofError
from pruneproof.scoring.captions import ngrams

Floats = NDArray[np.float64]

_TINY = 1e-15
"""Keeps a caption without a single match at nearly 0 instead of undefined."""
_SMALL = 1e-9
"""Keeps a division by no words defined."""


def count(candidate: str, references: Sequence[str]) -> tuple[int, ...]:
    """What one caption adds to a corpus: words, words of the reference closest in length, n-grams, matching n-grams.

    Of two references equally close in length the shorter one counts. A word matches as often as it occurs in the
    reference that holds it most often.

    Args:
        candidate: tokens with white space between them, from `tokens`.
        references: at least one, in the same form.

    Returns:
        Ten numbers: length, reference length, n-grams of 1 to 4 words, and those of them that match.

    Raises:
        PruneProofError: without a reference.
    """
    if not references:
        raise PruneProofError(f"captions: {candidate!r} has no reference; leave its picture out")
    most: dict[str, int] = {}
    for reference in references:
        for table in ngrams.count(reference):
            for ngram, times in table.items():
                most[ngram] = max(most.get(ngram, 0), times)
    matching = [
        sum(min(most.get(ngram, 0), times) for ngram, times in table.items()) for table in ngrams.count(candidate)
    ]
    length = len(candidate.split())
    _, closest = min((abs(words - length), words) for words in (len(caption.split()) for caption in references))
    return length, closest, *(max(0, length - n) for n in range(ngrams.LONGEST)), *matching


def score(counts: NDArray[np.int_] | Floats) -> Floats:
    """BLEU-1 to BLEU-4 of a corpus or of single captions, 0 to 1.

    BLEU is no mean over captions: sum the counts over the captions of a corpus (or of a bootstrap's draw) and score
    the sums. The official code scores a single caption by the same formula.

    Args:
        counts: `count` as the last axis, (..., 10).

    Returns:
        (..., 4).
    """
    parts = np.asarray(counts, float)
    length, closest = parts[..., 0], parts[..., 1]
    possible, matching = parts[..., 2 : 2 + ngrams.LONGEST], parts[..., 2 + ngrams.LONGEST :]
    precision = np.cumprod((matching + _TINY) / (possible + _SMALL), axis=-1)
    ratio = (length + _TINY) / (closest + _SMALL)
    brevity = np.exp(np.minimum(0.0, 1 - 1 / ratio))
    scores: Floats = precision ** (1 / np.arange(1, ngrams.LONGEST + 1)) * brevity[..., None]
    return scores
