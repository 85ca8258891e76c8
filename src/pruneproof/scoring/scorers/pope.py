"""POPE as its authors score it (AoiDragon/POPE, `evaluate.py`), with a rule for unparseable answers beside it.

The same rule with the same numbers is in haotian-liu/LLaVA (`llava/eval/eval_pope.py`), where the text is stripped of
blanks before it is read; LLaVA's published score is the plain mean of the three splits' F1.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import Literal

from pruneproof.scoring import yes_no
from pruneproof.scoring.scorers import Floats, Ratios, Reading, Truth
from pruneproof.wording import words

TITLE = "POPE"

SPLITS = ("random", "popular", "adversarial")
"""POPE's samplings, in the order of its tables."""

_DENIALS = frozenset({"No", "no", "not"})


def parse(text: str) -> Literal["yes", "no"]:
    """The official rule, kept to the letter so that numbers compare with published ones.

    The text before the first full stop, without commas, is cut at single spaces; it means `no` if one piece is exactly
    `No`, `no` or `not`, and `yes` otherwise. Hence 'NO', 'No!', 'Nope' and the empty text are all `yes`: a model that
    degenerates looks like one that hallucinates, which is why `parseable` is reported beside it.
    """
    first = text.split(".")[0].replace(",", "")
    return "no" if _DENIALS.intersection(first.split(" ")) else "yes"


def parseable(text: str) -> bool:
    """Whether the text holds exactly one of the words yes and no, in any case and punctuation.

    Where it holds both or neither, VLMEvalKit (`utils/yorn.py::YOrN_Extraction`) calls the answer unknown.
    """
    return len({"yes", "no"}.intersection(words(text))) == 1


def read(text: str, truth: Truth) -> Reading:
    """See `parse` and `parseable`."""
    return Reading(parse(text), parseable(text))


def mark(prediction: str, truth: Truth) -> float:
    """1 for the true answer, else 0."""
    return float(prediction == truth.answers[0])


def ratios(predictions: Sequence[str], marks: Floats, truths: Sequence[Truth]) -> Ratios:
    """Accuracy, precision, recall, F1 and the share of `yes` among predictions, see `yes_no.ratios`."""
    return yes_no.ratios(yes_no.are("yes", predictions), yes_no.are("yes", [truth.answers[0] for truth in truths]))


def figures(predictions: Sequence[str], marks: Floats, truths: Sequence[Truth]) -> dict[str, float]:
    """What `evaluate.py` prints for one split, unrounded; nan for what it cannot divide, where it stops."""
    says_yes = yes_no.are("yes", predictions)
    tp, fp, tn, fn = yes_no.counts(says_yes, yes_no.are("yes", [truth.answers[0] for truth in truths]), ~says_yes)
    precision, recall = yes_no.share(tp, tp + fp, nan), yes_no.share(tp, tp + fn, nan)
    return {
        "TP": tp,
        "FP": fp,
        "TN": tn,
        "FN": fn,
        "Accuracy": yes_no.share(tp + tn, len(truths), nan),
        "Precision": precision,
        "Recall": recall,
        "F1 score": yes_no.f1(precision, recall, nan),
        "Yes ratio": yes_no.share(tp + fp, len(truths), nan),
    }
