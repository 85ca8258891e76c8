"""COCO captions by n-grams: CIDEr-D, ROUGE-L and BLEU as pycocoevalcap computes them (`eval.py`).

That code cuts captions and references into tokens first, and so does `prepare`. A caption has no right and wrong, so
that marks are nan.

Facts: `tokens`, `ptb` or `plain` (see `captions.tokens`; `plain` if not given), shared by all samples; `documents`,
`{"images": ..., "counts": {n-gram: images}}`, a fixed set for CIDEr's rarity, shared too: without it the references of
the scored samples are counted, as in the official code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import nan
from typing import Any

import numpy as np

from pruneproof.scoring.captions import bleu, cider, rouge
from pruneproof.scoring.captions.tokens import tokenise
from pruneproof.scoring.scorers import Floats, Ratios, Reading, Truth

TITLE = "COCO captions"


def prepare(texts: Sequence[str], shared: Mapping[str, Any]) -> list[str]:
    """Captions in tokens, all at once.

    Raises:
        PruneProofError: for tokens that need Java where it is not.
    """
    return tokenise(texts, shared.get("tokens", "plain"))


def read(text: str, truth: Truth) -> Reading:
    """The caption's tokens."""
    return Reading(text, bool(text))


def mark(prediction: str, truth: Truth) -> float:
    """Always nan: a caption is more or less like others, neither right nor wrong."""
    return nan


def ratios(predictions: Sequence[str], marks: Floats, truths: Sequence[Truth]) -> Ratios:
    """CIDEr-D, ROUGE-L and the number of tokens of each caption; CIDEr-D on its own scale of 0 to 10.

    CIDEr's rarity is the same for every draw of a bootstrap: it is counted once, here.
    """
    ones = np.ones(len(truths))
    return {
        "cider": (_cider(predictions, truths), ones),
        "rouge_l": (_rouge(predictions, truths), ones),
        "length": (np.array([len(prediction.split()) for prediction in predictions], float), ones),
    }


def figures(predictions: Sequence[str], marks: Floats, truths: Sequence[Truth]) -> dict[str, float]:
    """What `COCOEvalCap.evaluate` prints, to three decimals, without METEOR and SPICE; nan without captions."""
    if not truths:
        return dict.fromkeys(("Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "ROUGE_L", "CIDEr"), nan)
    counts = np.array([bleu.count(said, truth.answers) for said, truth in zip(predictions, truths, strict=True)])
    printed = {f"Bleu_{number}": value for number, value in enumerate(bleu.score(counts.sum(0)).tolist(), start=1)}
    printed["ROUGE_L"] = float(_rouge(predictions, truths).mean())
    printed["CIDEr"] = float(_cider(predictions, truths).mean())
    return {name: round(value, 3) for name, value in printed.items()}


def _rouge(predictions: Sequence[str], truths: Sequence[Truth]) -> Floats:
    return np.array([rouge.score(said, truth.answers) for said, truth in zip(predictions, truths, strict=True)])


def _cider(predictions: Sequence[str], truths: Sequence[Truth]) -> Floats:
    if not truths:
        return np.zeros(0)
    fixed = truths[0].facts.get("documents")
    known = None if fixed is None else cider.Documents(fixed["images"], fixed["counts"])
    return cider.score(predictions, _prepared(tuple(truth.answers for truth in truths), _Same(known)))


class _Same:
    """A fixed set, equal to another if it holds the very same table: comparing half a million counts takes too long."""

    __slots__ = ("known",)

    def __init__(self, known: cider.Documents | None) -> None:
        self.known = known

    def __hash__(self) -> int:
        return 0 if self.known is None else id(self.known.counts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and (self.known and self.known.counts) is (other.known and other.known.counts)


@lru_cache(maxsize=1)
def _prepared(references: tuple[tuple[str, ...], ...], fixed: _Same) -> cider.Prepared:
    """The references of every condition are the same, unless a condition's answers are incomplete."""
    return cider.prepare(references, fixed.known)
