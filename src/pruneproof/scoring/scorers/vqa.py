"""VQAv2 as its authors score it (GT-Vision-Lab/VQA, `vqaEvaluation/vqaEval.py`), as Python 3 runs that script.

Every question has ten human answers. A prediction's accuracy is the mean over the ten of min(1, matches among the other
nine / 3): 0, 0.3, 0.6, 0.9 and 1 for 0, 1, 2, 3 and more matches.

Only where the ten are not all the same string are they, and the prediction, normalised; so where all ten say `yes`, a
model that says `Yes` scores 0. Published models therefore normalise their answers themselves, see
`scoring.conversions`.

The script is written for Python 2, which differs in three things that no English answer shows: it has other lower
case for a few letters (İ, Σ), knows no digits but 0 to 9 beside a comma or full stop, and rounds exact halves up.

Facts: `question_type` and `answer_type`, as in the annotations.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from math import nan

import numpy as np

from pruneproof.scoring.punctuation import strip_marks
from pruneproof.scoring.scorers import Floats, Ratios, Reading, Truth
from pruneproof.scoring.scorers._contractions import CONTRACTIONS

TITLE = "VQAv2"

_COMMA = re.compile(r"\d,\d")
_STOP = re.compile(r"\.(?!\d)")
"""Meant to spare a full stop after a digit as well, but written as one more look ahead: '3.' becomes '3'."""

_NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {"none": "0"} | {word: str(value) for value, word in enumerate(_NUMBER_WORDS)}
_ARTICLES = frozenset({"a", "an", "the"})

_ENOUGH = 3
"""Matching answers that make a prediction right."""


def spell(text: str) -> str:
    """Lower case without articles, numbers to ten as digits, contractions with apostrophe (`processDigitArticle`).

    Examples:
        >>> spell("The two dogs dont bark")
        "2 dogs don't bark"
    """
    words = [_NUMBERS.get(word, word) for word in text.lower().split()]
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


@lru_cache(maxsize=1 << 16)
def normalise(text: str) -> str:
    """Punctuation as in `punctuation.strip_marks`, then `spell`; newlines and tabs are blanks by then.

    Examples:
        >>> normalise("Yes, 3.5 (approx.)"), normalise("1,000!"), normalise("well-lit")
        ('yes 3.5 approx', '1000', 'well lit')
    """
    return spell(strip_marks(text, _COMMA, _STOP))


def read(text: str, truth: Truth) -> Reading:
    """The text on one line, normalised if the true answers differ."""
    said, answers = _line(text), _lines(truth.answers)
    if len(set(answers)) > 1:
        said = normalise(said)
    return Reading(said, bool(said))


def mark(prediction: str, truth: Truth) -> float:
    """The accuracy of a prediction, summed in the order of the answers, as the script does."""
    answers = _lines(truth.answers)
    if len(set(answers)) > 1:
        answers = [normalise(answer) for answer in answers]
    hits = [answer == prediction for answer in answers]
    matches = sum(hits)
    if matches > _ENOUGH or not matches:
        return float(matches > 0)
    return sum(min(1.0, (matches - hit) / _ENOUGH) for hit in hits) / len(answers)


def ratios(predictions: Sequence[str], marks: Floats, truths: Sequence[Truth]) -> Ratios:
    """The mean accuracy."""
    return {"accuracy": (marks, np.ones(len(marks)))}


def figures(predictions: Sequence[str], marks: Floats, truths: Sequence[Truth]) -> dict[str, float]:
    """Its `accuracy` in percent: `overall`, and by `perQuestionType/` and `perAnswerType/`, two decimals."""
    groups: dict[str, list[float]] = defaultdict(list)
    for value, truth in zip(marks.tolist(), truths, strict=True):
        groups["overall"].append(value)
        groups[f"perQuestionType/{truth.facts['question_type']}"].append(value)
        groups[f"perAnswerType/{truth.facts['answer_type']}"].append(value)
    return {name: round(100 * sum(values) / len(values), 2) for name, values in groups.items()} or {"overall": nan}


def _line(text: str) -> str:
    return text.replace("\n", " ").replace("\t", " ").strip()


def _lines(texts: Sequence[str]) -> list[str]:
    return [_line(text) for text in texts]
