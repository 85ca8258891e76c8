"""Effective robustness of every method of one backbone: the rows of `effective.csv` and `random_curve.csv`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pruneproof.scoring.bootstrap import expanded_interval, two_sided_p
from pruneproof.scoring.controls import curve_entries
from pruneproof.scoring.effective import curve_through
from pruneproof.scoring.groups import LIVE, MEAN, Group
from pruneproof.scoring.questions import Questions
from pruneproof.scoring.statistics import Ratio, sum_by_image
from pruneproof.scoring.tables import CurveRow, EffectiveRow
from pruneproof.settings import MethodSettings, ScoringSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]
Bools = NDArray[np.bool_]

STEPS = 60
"""Points along the drawn curve."""


@dataclass(frozen=True, slots=True, eq=False)
class Accuracies:
    """Of all methods under every condition, on the questions that all of them answered clean and perturbed.

    Arrays are (C, 1 + resamples), the observed sample first. Clean accuracy has a row for each condition too, because a
    rewording that the gate rejected takes its question out on both sides.
    """

    clean: Mapping[str, Floats]
    perturbed: Mapping[str, Floats]
    chance: Floats
    """Of the model that sees nothing."""
    asked: Bools
    """(C, images) which images have a question."""


def accuracies(correct: Mapping[str, Floats], questions: Questions, draws: Floats) -> Accuracies:
    """Clean and perturbed accuracy of every method in every resample.

    Args:
        correct: (C, U) correctness by unit, for each method.
        questions: the benchmark.
        draws: (resamples, images) from `bootstrap.draw_images`.
    """
    counted = questions.counted
    own = {name: values[:, counted] for name, values in correct.items()}
    image = questions.image[questions.first[counted]]
    known = np.logical_and.reduce([np.isfinite(values) & np.isfinite(values[0]) for values in own.values()])
    weights = np.vstack([np.ones(questions.images), draws])
    whole = sum_by_image(known.astype(float), image, questions.images)

    def mean(values: Floats) -> Floats:
        return Ratio(sum_by_image(np.where(known, values, 0.0), image, questions.images), whole).replicates(weights)

    return Accuracies(
        clean={name: mean(values[:1]) for name, values in own.items()},
        perturbed={name: mean(values) for name, values in own.items()},
        chance=mean(questions.sightless[None, counted]),
        asked=whole > 0,
    )


class Compared(NamedTuple):
    """A method beside the curve, in percent and points; nan where there is no curve or the method is at chance."""

    predicted: float = np.nan
    value: float = np.nan
    low: float = np.nan
    high: float = np.nan
    p: float = np.nan


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """Mean accuracies over a group of conditions, (1 + resamples) each."""

    clean: Mapping[str, Floats]
    perturbed: Mapping[str, Floats]
    chance: Floats
    images: int

    def predicted(self, names: Sequence[str], clean: Floats) -> Floats:
        """Perturbed accuracy at (1 + resamples, M) clean ones, by the curve through chance and these methods."""
        points = (np.stack([self.chance, *(kind[name] for name in names)], 1) for kind in (self.clean, self.perturbed))
        return curve_through(*points).at(clean)

    def above(self, name: str, others: Sequence[str]) -> Floats:
        """(1 + resamples) how far a method lies above the curve through others; nan for a curve through chance and a
        single one, which is none."""
        if len(others) < 2:
            return np.full(len(self.chance), np.nan)
        return self.perturbed[name] - self.predicted(others, self.clean[name][:, None])[:, 0]

    def compared(self, name: str, others: Sequence[str], confidence: float) -> Compared:
        """One method beside the curve through others; nothing for one that is no better on clean input than the model
        that sees nothing: the curve begins there, and what has no lead cannot lose any."""
        if self.clean[name][0] <= self.chance[0]:
            return Compared()
        above = self.above(name, others)[None]
        if not np.isfinite(above[0, 0]):
            return Compared()
        low, high = expanded_interval(above[:, 1:], self.images, confidence)
        p = two_sided_p(above[:, 1:], self.images)
        points = 100 * np.array([self.perturbed[name][0] - above[0, 0], above[0, 0], low[0], high[0]])
        return Compared(*map(float, (*points, p[0])))


def standing_over(found: Accuracies, members: Ints) -> Standing:
    """Mean accuracies over some conditions.

    Args:
        found: from `accuracies`.
        members: their indices.
    """
    clean, perturbed = (
        {name: values[members].mean(0) for name, values in kind.items()} for kind in (found.clean, found.perturbed)
    )
    images = int(found.asked[members].any(0).sum())
    return Standing(clean, perturbed, found.chance[members].mean(0), images)


def effective_robustness(
    backbone: str,
    found: Accuracies,
    methods: Mapping[str, MethodSettings],
    scoring: ScoringSettings,
    groups: Sequence[Group],
) -> tuple[list[EffectiveRow], list[CurveRow]]:
    """How every method compares with random pruning to the same clean accuracy, over a family's live conditions.

    The curve goes through chance, random pruning at one door (`controls.curve_entries`), and the baseline. A random
    method on it is compared with the curve of the others: its distance from that shows how well so few points draw the
    curve. There are no rows if none of the methods is random.

    Args:
        backbone: written into every row.
        found: from `accuracies`.
        methods: that the backbone is run with.
        scoring: baseline, primary methods (their rows over all severities are primary) and confidence.
        groups: from `groups.with_live`.
    """
    points = [*curve_entries(methods), scoring.baseline]
    rows: list[EffectiveRow] = []
    curves: list[CurveRow] = []
    for group in groups:
        members = group.members[found.asked[group.members].any(-1)]
        if group.perturbation != LIVE or len(points) < 2 or not members.size:
            continue
        standing = standing_over(found, members)
        for name in methods:
            others = [point for point in points if point != name]
            compared = standing.compared(name, others, scoring.confidence) if name != scoring.baseline else Compared()
            rows.append(
                EffectiveRow(
                    backbone, name, group.family, group.severity, len(members), 100 * standing.clean[name][0],
                    100 * standing.perturbed[name][0], *compared, np.nan,
                    primary=name in scoring.primary and group.severity == MEAN and np.isfinite(compared.p),
                )
            )  # fmt: skip
        curves.extend(_drawn(backbone, group, standing, points, scoring.confidence))
    return rows, curves


def _drawn(
    backbone: str, group: Group, standing: Standing, points: Sequence[str], confidence: float
) -> Iterator[CurveRow]:
    """The curve with its band, from chance to the best of its points."""
    ends = [standing.chance[0], *(standing.clean[name][0] for name in points)]
    at = np.linspace(min(ends), max(ends), STEPS)
    found = standing.predicted(points, np.tile(at, (len(standing.chance), 1)))
    low, high = expanded_interval(found[1:].T, standing.images, confidence)
    for row in 100 * np.stack([at, found[0], low, high], axis=1):
        yield CurveRow(backbone, group.family, group.severity, *row.tolist())
