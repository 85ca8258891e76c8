"""Effective robustness: how far a method's accuracy under a perturbation lies above what its clean accuracy predicts.

Taori et al. (2020, arXiv 2007.00644) fit a line through ordinary models and ask which models stand above it, because
a model that is better on clean pictures is better on shifted ones too. Here the ordinary models are the full model and
the same model with visual tokens pruned **at random**, from few to many, and a model that sees nothing: a method that
is only as robust as its accuracy suggests lies on the curve through them. The difference in drops lacks that
comparison: random pruning to a twentieth of the tokens has the smallest drop of all, because it is nearly blind.

The curve is monotone and otherwise free: a straight line on logit-scaled accuracies misfits near chance. It is
fitted again in every resample of images, so that intervals include the uncertainty of the curve too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pruneproof.scoring.statistics import DECIMALS

Floats = NDArray[np.float64]


def isotonic(values: Floats) -> Floats:
    """The nearest rising sequence to each row in least squares, by the min-max formula (Robertson et al., 1988, 1.4.6).

    Args:
        values: (R, K), a handful of columns: time and memory grow with the square of K.

    Examples:
        >>> isotonic(np.array([[1.0, 3.0, 2.0, 4.0]])).tolist()
        [[1.0, 2.5, 2.5, 4.0]]
    """
    count = values.shape[1]
    sums = np.concatenate([np.zeros((len(values), 1)), values.cumsum(1)], axis=1)
    # means[r, j, k]: mean of columns j to k; the value at i is the greatest over j <= i of the least over k >= i.
    length = np.arange(1, count + 1)[None, :] - np.arange(count)[:, None]
    means = (sums[:, None, 1:] - sums[:, :-1, None]) / np.where(length > 0, length, 1)
    means[:, length <= 0] = np.inf
    least = np.minimum.accumulate(means[:, :, ::-1], axis=2)[:, :, ::-1]
    result: Floats = np.stack([least[:, : i + 1, i].max(1) for i in range(count)], axis=1)
    return result


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One rising curve for each of R resamples."""

    clean: Floats
    """(R, K) clean accuracies of its points, ascending."""
    perturbed: Floats
    """(R, K) its perturbed accuracies there, ascending."""

    def at(self, clean: Floats) -> Floats:
        """Perturbed accuracy that a clean accuracy predicts.

        Linear between points; where several share one clean accuracy, the mean of the lowest and the highest. Outside
        of the points it moves point for point with clean accuracy: a method is expected to keep all of its lead
        over the full model, so that it must show more than that to count as robust.

        Args:
            clean: (R, M).

        Returns:
            (R, M).
        """
        last = self.clean.shape[1] - 1
        below = (self.clean[:, None, :] < clean[..., None]).sum(-1) - 1
        above = (self.clean[:, None, :] <= clean[..., None]).sum(-1)
        left, right = below.clip(0), above.clip(max=last)
        x0, x1, y0, y1 = (
            np.take_along_axis(values, place, 1)
            for values in (self.clean, self.perturbed)
            for place in (left, right)
        )  # fmt: skip
        part = np.divide(clean - x0, x1 - x0, out=np.zeros(clean.shape), where=x1 > x0)
        between = y0 + part * (y1 - y0)
        ends = (np.take_along_axis(self.perturbed, (place).clip(0, last), 1) for place in (below + 1, above - 1))
        met = sum(ends, np.zeros(clean.shape)) / 2
        outside = np.where(below < 0, self.perturbed[:, :1] + clean - self.clean[:, :1], 0.0)
        outside = np.where(above > last, self.perturbed[:, -1:] + clean - self.clean[:, -1:], outside)
        inside = np.where(above - below > 1, met, between)
        found: Floats = np.where(((below < 0) | (above > last)) & (above - below == 1), outside, inside)
        return found.round(DECIMALS)


def curve_through(clean: Floats, perturbed: Floats) -> Curve:
    """The rising curve through points, resample by resample; where they fall, through the nearest rising ones.

    Args:
        clean: (R, K) clean accuracies in any order.
        perturbed: (R, K) accuracies under the perturbation.
    """
    order = np.lexsort((perturbed, clean), axis=1)
    return Curve(np.take_along_axis(clean, order, 1), isotonic(np.take_along_axis(perturbed, order, 1)))
