"""Does a model see less, or does it only say yes less often? From its preference for yes over no.

The **margin** of an existence question is the logit of `yes` minus the logit of `no` at the first generated position.
A model that says yes less often hallucinates less and finds less; moving the threshold on the margin separates the
two. The area under the ROC curve and d' measure what is seen, the criterion c the inclination to say no, and the
hallucination rate at matched recall answers the question that matters: of two models that find as many of the objects
that are there, which invents more?
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
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


_VALUES_AT_ONCE = 2**22
"""Resamples times thresholds that are in memory at once: all of a large benchmark's would be hundreds of gigabytes."""


@dataclass(frozen=True, slots=True, eq=False)
class Roc:
    """The ROC curve of one condition by image, so that a resample of images is a weighted sum.

    Thresholds are the B different margins of questions on present objects, from the surest yes down. The matrices are
    sparse: every question is in one place of one of them.
    """

    present: csr_array
    """(images, B) present objects with exactly that margin."""
    tied: csr_array
    """(images, B) absent objects with exactly that margin."""
    passed: csr_array
    """(images, B) absent objects whose margin is greater than this threshold and no greater one."""
    absent: Floats
    """(images) all absent objects."""

    def area(self, weights: Floats) -> Floats:
        """Area under the curve: chance that a present object has the greater margin of two, ties counting half.

        Args:
            weights: (R, images) how often each image counts.

        Returns:
            (R); nan without a present or an absent object.
        """
        area = np.full(len(weights), np.nan)
        for rows, present, above, tied in self._resampled(weights):
            # Pairs of a present object and an absent one that are the wrong way round.
            wrong, whole = (present * (above + tied / 2)).sum(-1), present.sum(-1) * (weights[rows] @ self.absent)
            area[rows] = 1 - np.divide(wrong, whole, out=np.full(len(whole), np.nan), where=whole > 0)
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
        if not self.present.shape[1]:
            return result
        for rows, present, above, tied in self._resampled(weights):
            found, absent = present.cumsum(-1), weights[rows] @ self.absent
            known = np.flatnonzero(np.isfinite(recall[rows]) & (absent > 0) & (found[:, -1] > 0))
            wanted = (recall[rows][known] * found[known, -1]).round(6)
            at = (found[known] >= wanted[:, None]).argmax(-1)
            here = present[known, at]
            part = 1 - np.divide(found[known, at] - wanted, here, out=np.ones(len(known)), where=here > 0)
            affirmed = above[known, at] + part * tied[known, at]
            result[rows.start + known] = np.where(wanted > 0, affirmed / absent[known], 0.0)
        return result.round(DECIMALS)

    def _resampled(self, weights: Floats) -> Iterator[tuple[slice, Floats, Floats, Floats]]:
        """Some resamples at a time: which, and (r, B) present objects with, and absent ones above and at, each
        threshold."""
        step = max(1, _VALUES_AT_ONCE // max(1, self.present.shape[1]))
        for start in range(0, len(weights), step):
            rows = slice(start, start + step)
            present, tied, passed = (weights[rows] @ part for part in (self.present, self.tied, self.passed))
            yield rows, present, passed.cumsum(-1), tied


def roc(margin: Floats, present: Bools, image: Ints, images: int) -> Roc:
    """The curve of one condition.

    Args:
        margin: (N) of each question.
        present: (N) whether the object is there.
        image: (N) index of each question's image.
        images: number of images.
    """
    thresholds = -np.unique(-margin[present])

    def counted(image: Ints, place: Ints) -> csr_array:
        return csr_array((np.ones(len(place)), (image, place)), shape=(images, len(thresholds)))

    # A present object's own threshold; the first threshold that an absent object reaches, if any.
    own = np.searchsorted(-thresholds, -margin[present])
    place = np.searchsorted(-thresholds, -margin[~present])
    where = image[~present]
    absent = np.bincount(where, minlength=images).astype(float)
    reached = place < len(thresholds)
    place, score, where = place[reached], margin[~present][reached], where[reached]
    equal = thresholds[place] == score
    # One that ties with a threshold is above the next.
    later = place + equal
    inside = later < len(thresholds)
    return Roc(
        counted(image[present], own),
        counted(where[equal], place[equal]),
        counted(where[inside], later[inside]),
        absent,
    )


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
