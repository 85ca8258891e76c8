"""Every metric of one backbone and method: `summary.csv`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pruneproof.records import EXISTENCE, PERTURBED
from pruneproof.scoring import robustness
from pruneproof.scoring.answers import Scored, in_the_words_of
from pruneproof.scoring.existence import measure_existence
from pruneproof.scoring.groups import LIVE, MEAN, Group
from pruneproof.scoring.measured import Measured, estimates, mean_difference, mean_level, ratio_level
from pruneproof.scoring.questions import Questions
from pruneproof.scoring.reading import Ruling, ratios_of
from pruneproof.scoring.statistics import Ratio, sum_by_image
from pruneproof.scoring.tables import SummaryRow
from pruneproof.wording import words

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

ACCURACY = "accuracy/all"
BUDGET = "tokens/layer_mean"
RETENTION = "robust/retention"
UNDEFINED_AT_MOST = 0.025
"""Share of resamples without a lead over chance above which retention has no interval."""


def summarise(
    backbone: str, method: str, metrics: Iterable[Measured], groups: Sequence[Group], confidence: float
) -> list[SummaryRow]:
    """The metrics of one method as rows, in every group in which they exist."""
    return [
        SummaryRow(
            backbone, method, group.family, group.perturbation, group.severity, metric.name, e.value, e.low, e.high, e.n
        )
        for metric in metrics
        for group, e in estimates(metric, groups, confidence)
    ]


def measure(scored: Scored, full: Scored, questions: Questions, draws: Floats) -> Iterator[Measured]:
    """All metrics but the corruption error, under every condition.

    Scorers' own numbers (POPE's) are taken over the rows of a split as in the official scripts; all others over
    different questions.
    A perturbed score rests on the questions that were asked, which under a text perturbation are those whose rewording
    kept its label. Drops, flips, overlaps and retention compare each of them with itself, so a drop need not equal the
    difference of the two accuracies.

    Args:
        scored: the method's answers.
        full: the baseline's.
        questions: the benchmark.
        draws: (resamples, images) from `bootstrap.draw_images`.
    """
    yield from _scorers(scored, questions, draws)
    yield from _captions(scored, questions, draws)
    yield from _means(scored, questions, draws)
    yield from _flips(scored, full, questions, draws)
    yield retention(questions.by_unit(scored.correct), questions, draws)
    yield from measure_existence(
        questions.by_unit(scored.margin), questions.by_unit(full.correct[:1])[0], questions, draws
    )


def _mean_over_units(values: Floats, mask: Bools) -> Floats:
    """(C, 1) mean of (C, U) over some units that have a value; nan where none has."""
    chosen = values[:, mask]
    count = np.isfinite(chosen).sum(axis=1, keepdims=True)
    total = np.nansum(chosen, axis=1, keepdims=True)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _means(scored: Scored, questions: Questions, draws: Floats) -> Iterator[Measured]:
    kind, detail = questions.kind[questions.first], questions.detail[questions.first]
    image = questions.image[questions.first]
    absent = (kind == EXISTENCE) & ~questions.truth_yes[questions.first]
    asked = questions.counted
    correct = questions.by_unit(scored.correct)
    lost = robustness.drop(correct[0], correct)
    lost[0] = np.nan

    def mean(name: str, values: Floats, mask: Bools, scale: float = 100.0) -> Measured:
        return mean_level(name, values[:, mask], image[mask], draws, scale)

    def drop(name: str, mask: Bools) -> Measured:
        return mean_difference(f"robust/drop_{name}", lost[:, mask], image[mask], questions.images)

    yield mean(ACCURACY, correct, asked)
    yield drop("all", asked)
    for name in questions.kinds:
        yield mean(f"accuracy/{name}", correct, kind == name)
        yield drop(name, kind == name)
        for part in sorted(set(detail[kind == name]) - {""}):
            yield mean(f"accuracy/{name}/{part}", correct, (kind == name) & (detail == part))
    yield mean("hallucination/rate", 1 - correct, absent)
    yield mean("hallucination/unparseable", 1 - questions.by_unit(scored.parseable), kind == EXISTENCE)
    yield mean("robust/flip_rate", questions.by_unit(scored.flipped), asked)
    yield mean("tokens/visual", questions.by_unit(scored.visual_tokens), asked, scale=1.0)
    yield mean("tokens/input", questions.by_unit(scored.input_tokens), asked, scale=1.0)
    budget = questions.by_unit(scored.mean_tokens)
    yield mean(BUDGET, budget, asked, scale=1.0)
    # Of a method whose budget depends on the picture: how far questions lie from the mean, on average.
    yield mean("tokens/deviation", np.abs(budget - _mean_over_units(budget, asked)), asked, scale=1.0)
    yield mean("tokens/sequence", questions.by_unit(scored.sequence_length), asked, scale=1.0)
    yield mean("tokens/target_kept", questions.by_unit(scored.target_kept), asked)
    yield mean("tokens/overlap_clean", questions.by_unit(scored.overlap_clean), asked)


def _flips(scored: Scored, full: Scored, questions: Questions, draws: Floats) -> Iterator[Measured]:
    """Changed answers by outcome: against the method's own on clean input, and the full model's in the same place."""
    image, asked = questions.image[questions.first], questions.counted
    theirs = in_the_words_of(scored, full)
    for name, changed, before in (
        ("flips_clean", scored.flipped, scored.correct[:1]),
        ("flips_full", robustness.flips(theirs, scored.prediction), full.correct),
    ):
        for outcome, values in robustness.flips_by_outcome(changed, before, scored.correct)._asdict().items():
            yield mean_level(f"{name}/{outcome}", questions.by_unit(values)[:, asked], image[asked], draws)


def retention(correct: Floats, questions: Questions, draws: Floats) -> Measured:
    """Share of its lead over chance that a method keeps, each question compared with itself on clean input.

    It has no interval where more resamples than a tail leave the method no better than chance on clean input: a ratio
    says nothing once its denominator may be zero.

    Args:
        correct: (C, U) correctness by unit.
        questions: the benchmark.
        draws: (resamples, images) from `bootstrap.draw_images`.
    """
    asked = questions.counted
    image, own = questions.image[questions.first[asked]], correct[:, asked]
    both = np.isfinite(own) & np.isfinite(own[0])
    both[0] = False
    blind = questions.sightless[asked]
    sums = [sum_by_image(np.where(both, values - blind, 0.0), image, questions.images) for values in (own, own[:1])]
    ratio = Ratio(*sums)
    replicates = ratio.replicates(draws)
    unsure = (~np.isfinite(replicates)).mean(-1) > UNDEFINED_AT_MOST
    replicates[unsure] = np.nan
    by_image = sum_by_image(both.astype(float), image, questions.images) > 0
    return Measured(RETENTION, ratio.estimate, both.sum(-1), by_image, replicates=replicates)


def _scorers(scored: Scored, questions: Questions, draws: Floats) -> Iterator[Measured]:
    """Every scorer's ratios, `<scorer>/<ratio>`, over each split if there are any; F1 also as the mean over splits."""
    for ruling in scored.rulings:
        own = ruling.judged
        splits = list(dict.fromkeys(questions.split[own.samples].tolist()))
        f1: list[Measured] = []
        for split in splits:
            members = np.flatnonzero(questions.split[own.samples] == split)
            image = questions.image[own.samples[members]]
            for name, measured in _ratios(scored, ruling, members, image, draws, f"_{split}" if split else ""):
                if name == "f1" and split:
                    f1.append(measured)
                yield measured
        if f1:
            value = np.mean([m.value for m in f1], axis=0)
            replicates = np.mean([m.replicates for m in f1 if m.replicates is not None], axis=0)
            asked = np.any([m.asked for m in f1 if m.asked is not None], axis=0)
            n = np.sum([m.n for m in f1], axis=0)
            yield Measured(f"{own.name}/f1_mean", value, n, asked, replicates=replicates)


def _ratios(
    scored: Scored, ruling: Ruling, members: NDArray[np.int_], image: NDArray[np.int_], draws: Floats, suffix: str
) -> Iterator[tuple[str, Measured]]:
    """One scorer's ratios over some of its samples, (M) indices among them, under every condition."""
    images = draws.shape[1]
    shape = (len(scored.conditions), images)
    sums: dict[str, tuple[Floats, Floats]] = {}
    answered = ruling.prediction[:, members] >= 0
    for row, here in enumerate(answered):
        chosen = np.flatnonzero(here)
        if not len(chosen):
            continue
        for name, (part, whole) in ratios_of(ruling, scored.predictions, row, members[chosen]).items():
            above, below = sums.setdefault(name, (np.zeros(shape), np.zeros(shape)))
            above[row], below[row] = sum_by_image(np.stack([part, whole]), image[chosen], images)
    asked = sum_by_image(answered.astype(float), image, images) > 0
    for name, (above, below) in sums.items():
        scale = 1.0 if name == "length" else 100.0
        yield (
            name,
            ratio_level(
                f"{ruling.judged.name}/{name}{suffix}", Ratio(above, below), answered.sum(-1), asked, draws, scale
            ),
        )


def _captions(scored: Scored, questions: Questions, draws: Floats) -> Iterator[Measured]:
    """Words of a caption: a shorter one has fewer chances to hallucinate."""
    chosen = np.flatnonzero(questions.caption)
    if len(chosen):
        lengths = np.array([*(len(words(text)) for text in scored.texts), np.nan])[scored.text[:, chosen]]
        yield mean_level("captions/length", lengths, questions.image[chosen], draws, scale=1.0)


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
        if group.family not in PERTURBED or group.perturbation == LIVE or not members.size:
            continue
        if group.perturbation != MEAN:
            value = float(robustness.corruption_error(errors[0][members], errors[1][members]))
            parts.setdefault((group.family, group.severity), []).append(value)
        else:
            value = float(np.mean(parts[group.family, group.severity]))
        yield group, value, int(n[members].sum())
