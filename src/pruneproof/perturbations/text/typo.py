"""Slips of the writer or of a scanner, through nlpaug.

Severity s changes 15 x s percent of the words that are not protected, rounded up: of six such words 1, 2, 3, 4, 5; all
that the kind of typo can change if these are fewer. That is steeper than MMRobustness's 5 x s percent (Qiu et al. 2022)
because questions have six to ten words, several of them protected: at 5 percent most severities would change one word.
How many characters of a word change is nlpaug's default, 30 percent and at least one. Protected words, numbers,
negations and yes/no words stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from pruneproof.perturbations.text import NotApplicable, TextPerturbation, _gate, _nlpaug
from pruneproof.perturbations.text._words import WORD
from pruneproof.records import Sample

PERCENT_PER_SEVERITY = 15


def words_to_change(free: int, severity: int) -> int:
    """How many of `free` changeable words a severity changes: 15 x severity percent, rounded up."""
    return -(-PERCENT_PER_SEVERITY * severity * free // 100)


def _typo(build: Callable[[], Any], can_change: Callable[[Any, str], bool]) -> TextPerturbation:
    """A perturbation from an nlpaug augmenter and a rule that says which words it can change at all."""
    built = cache(build)

    def rewrite(sample: Sample, severity: int, rng: np.random.Generator) -> str:
        augmenter = built()
        held = set(_gate.held_words(sample))
        free = [word for word in WORD.findall(sample.question) if word not in held]
        fixed = [word for word in free if not can_change(augmenter, word)]
        if len(fixed) == len(free):
            raise NotApplicable("the question has no word that this typo can change")
        count = words_to_change(len(free), severity)
        return _nlpaug.augment(augmenter, sample.question, [*held, *fixed], count, int(rng.integers(2**32)))

    return TextPerturbation(rewrite, _gate.mistyped, severities=(1, 2, 3, 4, 5))


def _has_letters(augmenter: Any, word: str) -> bool:
    return _is_long(augmenter, word) and any(character in augmenter.model.model for character in word)


def _has_two_letters(augmenter: Any, word: str) -> bool:
    return any(a != b for a, b in zip(word.lower(), word.lower()[1:], strict=False))


def _is_listed(augmenter: Any, word: str) -> bool:
    return bool(augmenter.model.dict.get(word))


def _is_long(augmenter: Any, word: str) -> bool:
    return len(word) >= int(augmenter.min_char)


PERTURBATIONS = {
    "typo_keyboard": _typo(_nlpaug.keyboard, _has_letters),
    "typo_ocr": _typo(_nlpaug.ocr, _has_letters),
    "typo_swap": _typo(_nlpaug.swap, _has_two_letters),
    "typo_spelling": _typo(_nlpaug.spelling, _is_listed),
    "typo_split": _typo(_nlpaug.split, _is_long),
}
