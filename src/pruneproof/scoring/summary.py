"""Every metric of one backbone and method: `summary.csv`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pruneproof.records import KINDS, PERTURBED
from pruneproof.scoring import chair, pope, robustness
from pruneproof.scoring.answers import Scored
from pruneproof.scoring.groups import MEAN, Group, Measured, estimates
from pruneproof.scoring.questions import Questions
from pruneproof.scoring.statistics import Ratio, mean_ratio, sum_by_image
from pruneproof.scoring.tables import SummaryRow

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SPLITS = ("random", "popular", "adversarial")
"""POPE's samplings, in the order of its tables."""


def summarise(
    backbone: str,
    method: str,
    scored: Scored,
    baseline: Floats,
    questions: Questions,
    draws: Floats,
    groups: Sequence[Group],
    confidence: float,
) -> list[SummaryRow]:
    """All rows of one method.

    Args:
        backbone: written into every row.
        method: written into every row.
        scored: the method's answers.
        baseline: (C, U) correctness of the baseline by unit, the denominator of the corruption error.
        questions: the benchmark.
        draws: (resamples, images) from `statistics.draw_images`.
        groups: from `groups_of`.
        confidence: of the intervals.
    """
    rows = [
        SummaryRow(
            backbone, method, group.family, group.perturbation, group.severity, metric.name, e.value, e.low, e.high, e.n
        )
        for metric in measure(scored, questions, draws)
        for group, e in estimates(metric, groups, confidence)
    ]
    for group, value, n in corruption_errors(questions.by_unit(scored.correct), baseline, questions, groups):
        where = (backbone, method, group.family, group.perturbation, group.severity)
        rows.append(SummaryRow(*where, "robust/corruption_error", 100 * value, np.nan, np.nan, n))
    return rows


def measure(scored: Scored, questions: Questions, draws: Floats) -> Iterator[Measured]:
    """All metrics but the corruption error, under every condition.

    POPE's numbers are taken over the rows of a split as in the official script; all others over different questions.
    A perturbed score stands on the questions that were asked, which under a text perturbation are those whose rewording
    kept its label. Drops, flips and overlaps compare each of them with itself, so a drop need not equal the
    difference of the two accuracies.
    """
    yield from _pope(scored, questions, draws)
    yield from _chair(scored, questions, draws)
    kind, detail = questions.kind[questions.first], questions.detail[questions.first]
    absent = (kind == "existence") & ~questions.truth_yes[questions.first]
    asked = questions.counted
    correct = questions.by_unit(scored.correct)
    lost = robustness.drop(correct[0], correct)
    lost[0] = np.nan

    def mean(name: str, values: Floats, mask: Bools, scale: float = 100.0) -> Measured:
        ratio = mean_ratio(values[:, mask], questions.image[questions.first[mask]], questions.images)
        n = ratio.denominator.sum(-1).astype(int)
        return Measured(name, ratio.estimate, ratio.replicates(draws), n, scale)

    yield mean("accuracy/all", correct, asked)
    yield mean("robust/drop_all", lost, asked)
    for name in KINDS:
        if name != "caption":
            yield mean(f"accuracy/{name}", correct, kind == name)
            yield mean(f"robust/drop_{name}", lost, kind == name)
            for part in sorted(set(detail[kind == name]) - {""}):
                yield mean(f"accuracy/{name}/{part}", correct, (kind == name) & (detail == part))
    yield mean("hallucination/rate", 1 - correct, absent)
    yield mean("hallucination/unparseable", 1 - questions.by_unit(scored.parseable), kind == "existence")
    yield mean("robust/flip_rate", questions.by_unit(scored.flipped), asked)
    yield mean("tokens/visual", questions.by_unit(scored.visual_tokens), asked, scale=1.0)
    yield mean("tokens/target_kept", questions.by_unit(scored.target_kept), asked)
    yield mean("tokens/overlap_clean", questions.by_unit(scored.overlap_clean), asked)


def _pope(scored: Scored, questions: Questions, draws: Floats) -> Iterator[Measured]:
    f1: list[Measured] = []
    for split in SPLITS:
        mask = (questions.kind == "existence") & (questions.split == split)
        if not mask.any():
            continue
        truth = questions.truth_yes[mask]
        answered = scored.present[:, mask]
        says_yes = (scored.correct[:, mask] == 1) == truth
        for name, measured in _by_condition(
            "pope", pope.ratios(says_yes, truth), answered, questions.image[mask], questions.images, draws, f"_{split}"
        ):
            if name == "f1":
                f1.append(measured)
            yield measured
    if f1:
        value = np.mean([m.value for m in f1], axis=0)
        replicates = np.mean([m.replicates for m in f1 if m.replicates is not None], axis=0)
        yield Measured("pope/f1_mean", value, replicates, np.sum([m.n for m in f1], axis=0))


def _chair(scored: Scored, questions: Questions, draws: Floats) -> Iterator[Measured]:
    mask = questions.kind == "caption"
    if mask.any():
        parts = chair.ratios(scored.captions[:, mask])
        answered = scored.present[:, mask]
        for _, measured in _by_condition("chair", parts, answered, questions.image[mask], questions.images, draws):
            yield measured


def _by_condition(
    group: str,
    parts: dict[str, tuple[Floats, Floats]],
    answered: Bools,
    image: NDArray[np.int_],
    images: int,
    draws: Floats,
    suffix: str = "",
) -> Iterator[tuple[str, Measured]]:
    """(numerator, denominator) of each answer, (C, N), to a metric by condition."""
    for name, (part, whole) in parts.items():
        sums = [sum_by_image(np.where(answered, values, 0.0), image, images) for values in (part, whole)]
        ratio = Ratio(*sums)
        scale = 1.0 if name == "length" else 100.0
        n = answered.sum(-1)
        yield name, Measured(f"{group}/{name}{suffix}", ratio.estimate, ratio.replicates(draws), n, scale)


def corruption_errors(
    correct: Floats, baseline: Floats, questions: Questions, groups: Sequence[Group]
) -> Iterator[tuple[Group, float, int]]:
    """Corruption error in every group of perturbations, on the questions that both answered.

    A family's is the mean over its perturbations, as mCE is.

    Args:
        correct: (C, U) correctness by unit.
        baseline: that of the baseline.
        questions: the benchmark.
        groups: from `groups_of`, in its order.
    """
    asked = questions.counted
    method, full = 1 - correct[:, asked], 1 - baseline[:, asked]
    both = np.isfinite(method) & np.isfinite(full)
    n = both.sum(-1)
    errors = [np.where(both, e, 0.0).sum(-1) / np.maximum(n, 1) for e in (method, full)]
    parts: dict[tuple[str, str], list[float]] = {}
    for group in groups:
        members = group.members[n[group.members] > 0]
        if group.family not in PERTURBED or not members.size:
            continue
        if group.perturbation != MEAN:
            value = float(robustness.corruption_error(errors[0][members], errors[1][members]))
            parts.setdefault((group.family, group.severity), []).append(value)
        else:
            value = float(np.mean(parts[group.family, group.severity]))
        yield group, value, int(n[members].sum())
