"""Does a model see less, or does it only say yes less often? From its preference for yes over no.

The **margin** of an existence question is the logit of `yes` minus the logit of `no` at the first generated position.
A model that says yes less often hallucinates less and finds less; moving the threshold on the margin separates the
two. The area under the ROC curve and d' measure what is seen, the criterion c the inclination to say no, and the
hallucination rate at matched recall answers the question that matters: of two models that find as many of the objects
that are there, which invents more?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, ndtri

from pruneproof.scoring.statistics import DECIMALS

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]
Bools = NDArray[np.bool_]


class Detection(NamedTuple):
    """Sensitivity and criterion."""

    d_prime: Floats
    criterion: Floats


def signal_detection(hits: ArrayLike, present: ArrayLike, false_alarms: ArrayLike, absent: ArrayLike) -> Detection:
    """d' = z(H) - z(F) and c = -(z(H) + z(F)) / 2 with Hautus's log-linear correction (1995).

    H = (hits + 0.5) / (present + 1) and F = (false alarms + 0.5) / (absent + 1), so that neither is 0 or 1. A positive
    c leans towards no.

    Examples:
        >>> found = signal_detection(hits=9, present=9, false_alarms=0, absent=9)
        >>> round(float(found.d_prime), 3), round(float(found.criterion), 3)
        (3.29, -0.0)
    """
    seen = ndtri((np.asarray(hits, float) + 0.5) / (np.asarray(present, float) + 1))
    invented = ndtri((np.asarray(false_alarms, float) + 0.5) / (np.asarray(absent, float) + 1))
    return Detection((seen - invented).round(DECIMALS), (-(seen + invented) / 2).round(DECIMALS))


@dataclass(frozen=True, slots=True, eq=False)
class Roc:
    """The ROC curve of one condition by image, so that a resample of images is a weighted sum.

    Thresholds are the B different margins of questions on present objects, from the surest yes down.
    """

    present: Floats
    """(images, B) present objects with exactly that margin."""
    above: Floats
    """(images, B) absent objects with a greater margin."""
    tied: Floats
    """(images, B) absent objects with exactly that margin."""
    absent: Floats
    """(images) all absent objects."""

    def area(self, weights: Floats) -> Floats:
        """Area under the curve: chance that a present object has the greater margin of two, ties counting half.

        Args:
            weights: (R, images) how often each image counts.

        Returns:
            (R); nan without a present or an absent object.
        """
        # pairs[i, j]: pairs of a present object in image i and an absent one in image j that are the wrong way round.
        pairs = self.present @ (self.above + self.tied / 2).T
        wrong = ((weights @ pairs) * weights).sum(-1)
        whole = (weights @ self.present.sum(-1)) * (weights @ self.absent)
        area: Floats = 1 - np.divide(wrong, whole, out=np.full(len(weights), np.nan), where=whole > 0)
        return area.round(DECIMALS)

    def false_alarms(self, weights: Floats, recall: Floats) -> Floats:
        """Share of absent objects affirmed at the threshold at which a given share of present ones is.

        Where a recall lies between two thresholds, the share is interpolated, as if the threshold were drawn at random.

        Args:
            weights: (R, images) how often each image counts.
            recall: (R) in 0..1.

        Returns:
            (R); nan without a present or an absent object, or where the recall is.
        """
        result = np.full(len(weights), np.nan)
        if not self.present.size:
            return result
        # Whole numbers, which float32 holds exactly; it halves the time of the largest product of scoring.
        found = weights.astype(np.float32) @ self.present.cumsum(-1).astype(np.float32)
        absent = weights @ self.absent
        known = np.flatnonzero(np.isfinite(recall) & (absent > 0) & (found[:, -1] > 0))
        wanted = (recall[known] * found[known, -1]).round(6)
        at = (found[known] >= wanted[:, None]).argmax(-1)
        reached = found[known, at]
        here = reached - np.where(at > 0, found[known, at - 1], 0)
        part = 1 - np.divide(reached - wanted, here, out=np.ones(len(known)), where=here > 0)
        chosen = weights[known]
        affirmed = (chosen * (self.above[:, at].T + part[:, None] * self.tied[:, at].T)).sum(-1)
        result[known] = np.where(wanted > 0, affirmed / absent[known], 0.0)
        return result.round(DECIMALS)


def roc(margin: Floats, present: Bools, image: Ints, images: int) -> Roc:
    """The curve of one condition.

    Args:
        margin: (N) of each question.
        present: (N) whether the object is there.
        image: (N) index of each question's image.
        images: number of images.
    """
    thresholds = -np.unique(-margin[present])
    shape = (images, len(thresholds))
    found, above, tied = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    # A present object's own threshold; the first threshold that an absent object reaches, if any.
    np.add.at(found, (image[present], np.searchsorted(-thresholds, -margin[present])), 1)
    place = np.searchsorted(-thresholds, -margin[~present])
    where = image[~present]
    reached = place < len(thresholds)
    place, score = place[reached], margin[~present][reached]
    equal = thresholds[place] == score
    np.add.at(tied, (where[reached][equal], place[equal]), 1)
    # Above a threshold are those that tie with an earlier one or lie before it.
    later = place + equal
    inside = later < len(thresholds)
    np.add.at(above, (where[reached][inside], later[inside]), 1)
    counts = np.bincount(where, minlength=images).astype(float)
    return Roc(found, above.cumsum(-1), tied, counts)


def probability(margin: ArrayLike) -> Floats:
    """Probability of yes as the model sees it: the softmax over the two words alone, 1 / (1 + exp(-margin))."""
    p: Floats = expit(np.asarray(margin, float))
    return p


def brier(margin: ArrayLike, present: ArrayLike) -> Floats:
    """Squared distance of each question's probability of yes from the truth, 0 to 1 (Brier, 1950)."""
    squared: Floats = (probability(margin) - np.asarray(present, float)) ** 2
    return squared


BINS = 10
"""Of the expected calibration error."""


def calibration_error(margin: Floats, present: Bools) -> float:
    """Expected calibration error: how far the probability of yes lies from how often yes is true.

    Questions fall into ten equal bins of the probability of yes; in each, the mean probability is compared with the
    share of objects that are there, and the absolute differences are averaged with the bins' sizes as weights
    (Naeini et al., 2015). It has no interval: resamples of an absolute value lie above it, not around it.

    Args:
        margin: (N) of each question.
        present: (N) whether the object is there.

    Returns:
        0 to 1; nan without questions.
    """
    if not len(margin):
        return float("nan")
    p = probability(margin)
    bins = np.minimum((BINS * p).astype(int), BINS - 1)
    excess = np.bincount(bins, p - present, minlength=BINS)
    return round(float(np.abs(excess).sum() / len(p)), DECIMALS)
