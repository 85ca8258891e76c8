"""nlpaug's augmenters, made quick to import and reproducible."""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np

from pruneproof.perturbations.text._words import WORD

_NOT_NEEDED = frozenset({"torch", "torchvision", "transformers", "sklearn", "nltk"})


class _Absent(MetaPathFinder):
    """A finder that pretends that a few packages are not installed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Refuse the packages of `_NOT_NEEDED`, leave all others to the other finders."""
        if fullname in _NOT_NEEDED:
            raise ModuleNotFoundError(f"{fullname} is not needed here", name=fullname)
        return None


@cache
def modules() -> tuple[Any, Any]:
    """`nlpaug.augmenter.char` and `nlpaug.augmenter.word`.

    The package imports torch, transformers and more for augmenters that are not used here, and does without them
    where they are not installed. Hiding them while it is imported brings the import from 17 seconds to 2.
    """
    finder = _Absent()
    sys.meta_path.insert(0, finder)
    try:
        import nlpaug.augmenter.char as char
        import nlpaug.augmenter.word as word
    finally:
        sys.meta_path.remove(finder)
    return char, word


def keyboard() -> Any:
    """Neighbouring keys; letters only, and the case of a letter stays."""
    return modules()[0].KeyboardAug(
        min_char=2,
        include_special_char=False,
        include_numeric=False,
        include_upper_case=False,
        **_splitting(),
    )


def ocr() -> Any:
    """Characters that look alike; a letter may become a digit (`o` and `0`), since that is what OCR does.

    nlpaug's default of at least two characters per word would always make the number `18` out of `Is`.
    """
    return modules()[0].OcrAug(min_char=2, aug_char_min=1, **_splitting())


def swap() -> Any:
    """Neighbouring letters change places."""
    return modules()[0].RandomCharAug(action="swap", min_char=2, **_splitting())


def spelling() -> Any:
    """Misspellings that people made (nlpaug's list, from Belinkov and Bisk 2018).

    Only misspellings *of* a word are used, not the words that it is a misspelling of, and only those made of letters:
    the list also holds `isn't` for `is`. They are sorted because nlpaug keeps them in the order of a set of strings,
    which differs between processes.
    """
    augmenter = modules()[1].SpellingAug(include_reverse=False, **_splitting())
    listed = type(augmenter.model)(augmenter.dict_path, include_reverse=False)
    listed.dict = {
        word: sorted({text for text in misspellings if text.isascii() and text.isalpha() and text != word})
        for word, misspellings in listed.dict.items()
    }
    augmenter.model = listed
    return augmenter


def split() -> Any:
    """A space inside a word."""
    return modules()[1].SplitAug(min_char=3, **_splitting())


def augment(augmenter: Any, text: str, kept: Sequence[str], count: int, seed: int) -> str:
    """One draw of nlpaug on exactly `count` words, or all that can be changed if these are fewer.

    nlpaug draws from the global generators of `random` and NumPy and takes no seed: both are seeded here and restored
    afterwards.

    Args:
        augmenter: From one of the functions above; it is not changed.
        text: The sentence.
        kept: Words that stay as they are, in the case they are written in.
        count: Number of words to change.
        seed: In [0, 2**32).
    """
    once = copy.copy(augmenter)
    once.stopwords = {*kept, *(piece for piece in pieces(text) if not WORD.fullmatch(piece))}
    prefix = "aug_word" if hasattr(once, "aug_word_min") else "aug"  # character and word augmenters name it differently
    setattr(once, f"{prefix}_min", count)
    setattr(once, f"{prefix}_max", count)
    with _seeded(seed):
        drawn = once.augment(text)
    return str(drawn[0]) if drawn else text


def pieces(text: str) -> list[str]:
    """A text as words and what lies between them; joined again they are the text."""
    found, end = [], 0
    for match in WORD.finditer(text):
        found += [text[end : match.start()], match.group()]
        end = match.end()
    return [piece for piece in (*found, text[end:]) if piece]


def join(parts: Sequence[str]) -> str:
    """The inverse of `pieces`; two words side by side (a split one) get a space between them."""
    text = ""
    for part in parts:
        text += f" {part}" if part[:1].isalnum() and text[-1:].isalnum() else part
    return text


def _splitting() -> dict[str, Any]:
    """Keep the text around words as it is: nlpaug's own tokenizer makes `What ' s` out of `What's`."""
    return {"tokenizer": pieces, "reverse_tokenizer": join}


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
