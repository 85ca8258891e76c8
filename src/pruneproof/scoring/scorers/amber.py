"""AMBER's questions as its authors score them (junyangwang0410/AMBER, `inference.py`, evaluation `d`).

An answer is exactly `Yes` or exactly `No`; everything else, `yes` and `No.` among it, is neither, and wrong. Published
answers are therefore converted first, see `scoring.conversions`.

Unlike POPE's, the positive answer of precision, recall and F1 is `No`: they say how well a model denies what is not
there. The true answer of every question about existence is `no`, so that its precision is 1 wherever it is defined.

Every count in a denominator of the script starts at 0.001 (`data/metrics.txt`), F1 adds 0.0001 to its own (0.001 for
existence) and is made of precision and recall that are rounded already: figures have all that, ratios have not.

The script's other half, which compares the nouns of a description with spaCy's word vectors, is not scored here.

The true answer is `Yes` or `No` as well, or what the annotations say, `yes` or `no`.

Facts: `dimension` (`existence`, `attribute`, `relation`) and, of attributes, `attribute` (`state`, `number`, `action`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pruneproof.scoring import yes_no
from pruneproof.scoring.scorers import Floats, Ratios, Reading, Truth

TITLE = "AMBER"

DIMENSIONS = ("existence", "attribute", "relation")
ATTRIBUTES = ("state", "number", "action")

_SAID = {"Yes": "yes", "No": "no"}
_ABOVE_ZERO = 0.001
"""Where the script's denominators start."""

Bools = NDArray[np.bool_]


def read(text: str, truth: Truth) -> Reading:
    """`yes`, `no` or `neither`."""
    return Reading(_SAID.get(text, "neither"), text in _SAID)


def mark(prediction: str, truth: Truth) -> float:
    """1 for the true answer, else 0."""
    return float(prediction == truth.answers[0].lower())


def ratios(predictions: Sequence[str], marks: Floats, truths: Sequence[Truth]) -> Ratios:
    """Accuracy; precision, recall and F1 with `no` as positive; and F1 of each dimension that is asked about.

    F1 is 2 TP / (2 TP + FP + FN), which is the harmonic mean without the script's additions.
    """
    found = yes_no.ratios(
        yes_no.are("no", predictions), yes_no.are("no", [truth.answers[0].lower() for truth in truths])
    )
    scores = {"accuracy": (marks, np.ones(len(marks)))} | {name: found[name] for name in ("precision", "recall", "f1")}
    above, below = found["f1"]
    for dimension in DIMENSIONS:
        inside = _of("dimension", dimension, truths)
        if inside.any():
            scores[f"{dimension}_f1"] = (above * inside, below * inside)
    return scores


def figures(predictions: Sequence[str], marks: Floats, truths: Sequence[Truth]) -> dict[str, float]:
    """What the script prints, in per cent to one decimal: for all questions and each part that is asked about."""
    parts = {"": np.ones(len(truths), bool)}
    for dimension in DIMENSIONS:
        parts[f"{dimension.capitalize()}: "] = _of("dimension", dimension, truths)
        if dimension == "attribute":
            parts |= {f"{kind.capitalize()}: ": _of("attribute", kind, truths) for kind in ATTRIBUTES}
    says_no = yes_no.are("no", predictions)
    is_no = yes_no.are("no", [truth.answers[0].lower() for truth in truths])
    printed: dict[str, float] = {}
    for title, inside in parts.items():
        if inside.any() or not title:
            counters = len(ATTRIBUTES) if title == "Attribute: " else 1
            right, both = float(marks[inside].sum()), int((says_no & is_no & inside).sum())
            precision = _percent(both, int((says_no & inside).sum()), counters)
            recall = _percent(both, int((is_no & inside).sum()), counters)
            added = 0.001 if title == "Existence: " else 0.0001
            printed |= {
                f"{title}Accuracy": _percent(right, int(inside.sum()), counters),
                f"{title}Precision": precision,
                f"{title}Recall": recall,
                f"{title}F1": round(
                    2 * (precision / 100) * (recall / 100) / (precision / 100 + recall / 100 + added) * 100, 1
                ),
            }
    return printed


def _percent(part: float, whole: int, counters: int) -> float:
    """A rounded percentage whose denominator is the sum of this many of the script's counters."""
    return round(part / (whole + counters * _ABOVE_ZERO) * 100, 1)


def _of(fact: str, value: str, truths: Sequence[Truth]) -> Bools:
    return np.array([truth.facts.get(fact) == value for truth in truths], bool)
