"""POPE as its authors score it (AoiDragon/POPE, `evaluate.py`), with a rule for unparseable answers beside it."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pruneproof.wording import words

Floats = NDArray[np.float64]

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


def ratios(says_yes: NDArray[np.bool_], truth_yes: NDArray[np.bool_]) -> dict[str, tuple[Floats, Floats]]:
    """The official script's five numbers as (numerator, denominator) of every answer; `yes` is the positive class.

    Sum numerators and denominators over the answers of one split and divide; because both are sums, a bootstrap can
    sum them by image. `yes_ratio` is the share of answers predicted `yes`.

    Where the official script divides by zero and stops: precision without any predicted `yes` is 0/0 (nan). F1 is
    written 2 TP / (2 TP + FP + FN), equal to the script's 2PR / (P + R) wherever that is defined and 0 where the script
    stops because no positive was found, so that a model that says `no` to everything keeps a place in the averages.

    Args:
        says_yes: whether `yes` was predicted, (..., N).
        truth_yes: whether `yes` is true, broadcastable to (..., N).
    """
    said, true = np.broadcast_arrays(says_yes, truth_yes)
    tp, fp, tn, fn = (np.asarray(a & b, float) for a, b in ((said, true), (said, ~true), (~said, ~true), (~said, true)))
    rows = np.ones(said.shape)
    return {
        "accuracy": (tp + tn, rows),
        "precision": (tp, tp + fp),
        "recall": (tp, tp + fn),
        "f1": (2 * tp, 2 * tp + fp + fn),
        "yes_ratio": (tp + fp, rows),
    }
