"""COCO captions by n-grams: CIDEr-D, ROUGE-L and BLEU as pycocoevalcap computes them (`eval.py`).

That code cuts captions and references into tokens first, and so does `prepare`. A caption has no right and wrong, so
that marks are nan.

Facts: `tokens`, `ptb` or `plain` (see `captions.tokens`; `plain` if not given), and `java`, a list of `meteor` and
`spice`, shared by all samples; `documents`,
`{"images": ..., "counts": {n-gram: images}}`, a fixed set for CIDEr's rarity, shared too, or `collection`, the captions
of each picture of such a set as their authors wrote them: without either the references of the scored samples are
counted, as in the official code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import nan
from typing import Any

import numpy as np

from pruneproof.scoring.captions import bleu, cider, java, rouge
from pruneproof.scoring.captions.tokens import Tokens, tokenise
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
    """What `COCOEvalCap.evaluate` prints, to three decimals, METEOR and SPICE if asked for; nan without captions."""
    if not truths:
        return dict.fromkeys(("Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "ROUGE_L", "CIDEr"), nan)
    counts = np.array([bleu.count(said, truth.answers) for said, truth in zip(predictions, truths, strict=True)])
    printed = {f"Bleu_{number}": value for number, value in enumerate(bleu.score(counts.sum(0)).tolist(), start=1)}
    printed["ROUGE_L"] = float(_rouge(predictions, truths).mean())
    printed["CIDEr"] = float(_cider(predictions, truths).mean())
    references = [truth.answers for truth in truths]
    for name in truths[0].facts.get("java", ()):
        printed[name.upper()] = {"meteor": java.meteor, "spice": java.spice}[name](predictions, references)[0]
    return {name: round(value, 3) for name, value in printed.items()}


def _rouge(predictions: Sequence[str], truths: Sequence[Truth]) -> Floats:
    return np.array([rouge.score(said, truth.answers) for said, truth in zip(predictions, truths, strict=True)])


def _cider(predictions: Sequence[str], truths: Sequence[Truth]) -> Floats:
    if not truths:
        return np.zeros(0)
    shared = truths[0].facts
    documents, collection = (_Same(shared.get(name)) for name in ("documents", "collection"))
    known = _fixed(documents, collection, shared.get("tokens", "plain"))
    return cider.score(predictions, _prepared(tuple(truth.answers for truth in truths), _Same(known)))


class _Same:
    """A value that equals another if it is the very same: to compare half a million counts takes too long."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value


@lru_cache(maxsize=1)
def _fixed(documents: _Same, collection: _Same, tokens: Tokens) -> cider.Documents | None:
    """The set that says how rare words are, if it is not that of the scored samples."""
    if documents.value is not None:
        return cider.Documents(documents.value["images"], documents.value["counts"])
    if collection.value is None:
        return None
    cut = iter(tokenise([caption for captions in collection.value for caption in captions], tokens))
    return cider.documents([next(cut) for _ in captions] for captions in collection.value)


@lru_cache(maxsize=1)
def _prepared(references: tuple[tuple[str, ...], ...], fixed: _Same) -> cider.Prepared:
    """The references of every condition are the same, unless a condition's answers are incomplete."""
    return cider.prepare(references, fixed.value)
