"""Paired differences between methods: `contrasts.csv`, with the study's main number.

Every method is compared with the baseline (the full model), and every other pruner also with random pruning to as many
tokens: only what it does better than that is due to its choice of tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pruneproof import pruning
from pruneproof.pruning.protocol import Method
from pruneproof.records import EXISTENCE
from pruneproof.scoring import robustness
from pruneproof.scoring.existence import MATCHED
from pruneproof.scoring.groups import LIVE, MEAN, Group
from pruneproof.scoring.measured import Measured, difference, estimates, mean_difference
from pruneproof.scoring.questions import Questions
from pruneproof.scoring.statistics import holm
from pruneproof.scoring.summary import RETENTION
from pruneproof.scoring.tables import ContrastRow, EffectiveRow
from pruneproof.settings import MethodSettings

Floats = NDArray[np.float64]

MAIN = "accuracy/all"
"""The metric of the primary contrasts."""
LEVELS = (MATCHED, RETENTION)
"""Metrics that `level_contrast` compares."""


def pairs(methods: Mapping[str, MethodSettings], baseline: str, layers: int) -> list[tuple[str, str]]:
    """(method, what it is compared with): the baseline, then random pruning to as many tokens if it is there, and then
    the same method looking at clean pictures (`rank_from: clean`) if that is there.

    As many means the mean over the language model's layers. Of several entries it is the first that acts at the
    method's own door, or else the first.

    Args:
        methods: of the study.
        baseline: id of the full model.
        layers: of the backbone's language model.
    """
    loaded = {name: pruning.load(settings) for name, settings in methods.items()}
    shares = {name: pruning.mean_share(method, layers) for name, method in loaded.items()}
    random = [name for name, settings in methods.items() if settings.method == "random"]
    result = []
    for name, method in loaded.items():
        if name == baseline:
            continue
        result.append((name, baseline))
        alike = [other for other in random if _equal(shares[name], shares[other])]
        at_its_door = [other for other in alike if loaded[other].door == method.door]
        control = next(iter(at_its_door or alike), baseline)
        if methods[name].method != "random" and control != baseline:
            result.append((name, control))
        if (twin := _clean_twin(name, methods, loaded)) is not None and twin != baseline:
            result.append((name, twin))
    return result


def _clean_twin(name: str, methods: Mapping[str, MethodSettings], loaded: Mapping[str, Method]) -> str | None:
    """The same method with the same options, looking at clean pictures; None for one that does so itself."""
    if methods[name].rank_from == "clean":
        return None
    twins = (other for other, chosen in methods.items() if chosen.rank_from == "clean")
    return next((other for other in twins if loaded[other] == loaded[name]), None)


def _equal(one: float | None, other: float | None) -> bool:
    """Whether two shares are the same number of tokens, up to rounding."""
    return one is not None and other is not None and abs(one - other) < 1e-3


def contrast(
    backbone: str,
    method: str,
    baseline_name: str,
    correct: Floats,
    baseline: Floats,
    questions: Questions,
    groups: Sequence[Group],
    confidence: float,
    primary: bool,
) -> list[ContrastRow]:
    """All contrasts of one method with a baseline, `p_holm` still empty (see `with_holm`).

    Under a perturbation: difference in drops; positive = the method loses more than the baseline, which for the
    hallucination rate means that it rises more. Under the clean condition, with `clean/` before the metric: the
    method's score minus the baseline's. A question takes part if both methods answered it clean and perturbed.

    Args:
        backbone: written into every row.
        method: written into every row.
        baseline_name: written into every row.
        correct: (C, U) correctness of the method by unit.
        baseline: that of the baseline.
        questions: the benchmark.
        groups: from `groups.with_live`.
        confidence: of the intervals.
        primary: whether the method's contrasts in accuracy over all live conditions of a family are primary.
    """
    rows = []
    for measured in _differences(correct, baseline, questions):
        for group, e in estimates(measured, groups, confidence):
            main = primary and measured.name == MAIN and (group.perturbation, group.severity) == (LIVE, MEAN)
            where = (backbone, method, baseline_name, group.family, group.perturbation, group.severity)
            rows.append(ContrastRow(*where, measured.name, e.value, e.low, e.high, e.p, np.nan, main))
    return rows


def _differences(method: Floats, full: Floats, questions: Questions) -> Iterator[Measured]:
    kind = questions.kind[questions.first]
    image = questions.image[questions.first]
    absent = (kind == EXISTENCE) & ~questions.truth_yes[questions.first]
    clean = np.full_like(method, np.nan)
    clean[0] = method[0] - full[0]
    drops = robustness.difference_in_drops(robustness.drop(method[0], method), robustness.drop(full[0], full))
    drops[0] = np.nan
    for name, mask, clean_sign in (
        (MAIN, questions.counted, 1),
        ("accuracy/existence", kind == EXISTENCE, 1),
        # Affirming an absent object is being wrong about it: the rate is one minus accuracy there, so its rise is the
        # drop of that accuracy, while its clean difference changes sign.
        ("hallucination/rate", absent, -1),
    ):
        for prefix, values in (("", drops), ("clean/", clean_sign * clean)):
            yield mean_difference(prefix + name, values[:, mask], image[mask], questions.images)


def level_contrast(
    backbone: str,
    method: str,
    baseline_name: str,
    own: Measured,
    baseline: Measured,
    groups: Sequence[Group],
    confidence: float,
) -> list[ContrastRow]:
    """The method's level minus the baseline's under the same condition, of a metric that is no mean over questions:
    the hallucination rate at the full model's clean recall, and retention.

    `clean/` stands before the metric under the clean condition, as in the other contrasts; under a perturbation it is
    the plain difference and not one of rises, because both are compared with clean input already: the threshold is
    matched again there, and retention is a share of the clean lead.

    Args:
        backbone: written into every row.
        method: written into every row.
        baseline_name: written into every row.
        own: one of `LEVELS` of the method.
        baseline: that of the baseline.
        groups: from `groups.with_live`.
        confidence: of the intervals.
    """
    rows = []
    for group, e in estimates(difference(own, baseline), groups, confidence):
        where = (backbone, method, baseline_name, group.family, group.perturbation, group.severity)
        name = f"clean/{own.name}" if group.family == "clean" else own.name
        rows.append(ContrastRow(*where, name, e.value, e.low, e.high, e.p, np.nan, False))
    return rows


Row = TypeVar("Row", ContrastRow, EffectiveRow)


def with_holm(rows: Sequence[Row]) -> list[Row]:
    """Fill `p_holm` of the primary rows: Holm's correction over all of them, of every backbone together."""
    adjusted = iter(holm([row.p for row in rows if row.primary]).tolist())
    return [replace(row, p_holm=next(adjusted)) if row.primary else row for row in rows]
