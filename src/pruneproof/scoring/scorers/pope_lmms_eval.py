"""POPE as lmms-eval scores it (EvolvingLMMs-Lab/lmms-eval, `tasks/pope/utils.py`).

Only `yes` and `no` alone, in any case and with blanks around them, are answers: 'No.' is neither, hence wrong. Such an
answer counts in no false negative, so that recall rests on fewer positives than there are. The task `pope` pools the
three splits.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import nan

from pruneproof.scoring import yes_no
from pruneproof.scoring.scorers import Floats, Ratios, Reading, Truth

TITLE = "POPE (lmms-eval)"


def read(text: str, truth: Truth) -> Reading:
    """The text in lower case without the blanks around it."""
    said = text.lower().strip()
    return Reading(said, said in ("yes", "no"))


def mark(prediction: str, truth: Truth) -> float:
    """1 for the true answer, else 0."""
    return float(prediction == truth.answers[0])


def ratios(predictions: Sequence[str], marks: Floats, truths: Sequence[Truth]) -> Ratios:
    """As for `pope`; the share of `yes` is that among predictions, where lmms-eval gives that among true answers."""
    true = yes_no.are("yes", [truth.answers[0] for truth in truths])
    return yes_no.ratios(yes_no.are("yes", predictions), true, yes_no.are("no", predictions))


def figures(predictions: Sequence[str], marks: Floats, truths: Sequence[Truth]) -> dict[str, float]:
    """What it reports, unrounded; 0 for what it cannot divide. Its `pope_yes_ratio` is computed from the true answers.

    That ratio is 0.5 on the official questions, whatever a model says.
    """
    true = yes_no.are("yes", [truth.answers[0] for truth in truths])
    tp, fp, _, fn = yes_no.counts(yes_no.are("yes", predictions), true, yes_no.are("no", predictions))
    precision, recall = yes_no.share(tp, tp + fp, 0.0), yes_no.share(tp, tp + fn, 0.0)
    return {
        "pope_accuracy": yes_no.share(float(marks.sum()), len(truths), nan),
        "pope_precision": precision,
        "pope_recall": recall,
        "pope_f1_score": yes_no.f1(precision, recall, 0.0),
        "pope_yes_ratio": yes_no.share(int(true.sum()), len(truths), 0.0),
    }
