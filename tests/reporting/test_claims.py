"""Every rule worked by hand for each of its verdicts."""

from __future__ import annotations

import math

import pytest

from pruneproof.reporting import claims
from pruneproof.reporting.claims import Verdict
from pruneproof.reporting.estimates import Contrast, Estimate

YES, NO, OPEN = Verdict.SUPPORTED, Verdict.NOT_SUPPORTED, Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("ratio", "verdict"), [(0.6, YES), (0.65, YES), (0.66, NO), (1.0, NO), (math.nan, OPEN)])
def test_fewer_flops(ratio: float, verdict: Verdict) -> None:
    assert claims.fewer_flops(ratio) is verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(1.41, 1.6, YES), (1.2, 1.39, NO), (1.3, 1.5, OPEN), (math.nan, math.nan, OPEN)]
)
def test_faster(low: float, high: float, verdict: Verdict) -> None:
    assert claims.faster(Estimate(1.4, low, high)) is verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.9, 0.4, YES),  # loses less than the margin, whether or not it loses anything
        (-0.9, -0.2, YES),  # surely worse, but by less than the margin
        (0.5, 2.0, YES),
        (-4.0, -1.1, NO),
        (-3.0, 2.0, OPEN),
        (-3.0, -0.5, OPEN),
    ],
)
def test_non_inferior_within_one_point(low: float, high: float, verdict: Verdict) -> None:
    assert claims.non_inferior(Estimate((low + high) / 2, low, high), margin=1.0) is verdict


@pytest.mark.parametrize(
    ("low", "high", "p_holm", "verdict"),
    [
        (-3.0, -0.5, 0.01, YES),
        (-3.0, -0.5, math.nan, YES),  # not a primary contrast: nothing to correct
        (-3.0, -0.5, 0.08, OPEN),  # the interval excludes 0, the corrected p-value does not
        (0.2, 2.0, 0.01, NO),
        (0.2, 2.0, 0.2, OPEN),
        (-1.0, 1.0, 1.0, OPEN),
    ],
)
def test_better_means_less(low: float, high: float, p_holm: float, verdict: Verdict) -> None:
    assert claims.better(Contrast((low + high) / 2, low, high, p_holm=p_holm), level=0.05) is verdict


@pytest.mark.parametrize(
    ("low", "high", "p_holm", "verdict"),
    [
        (0.2, 2.0, 0.01, YES),
        (0.2, 2.0, math.nan, YES),
        (0.2, 2.0, 0.08, OPEN),
        (-3.0, -0.5, 0.01, NO),
        (-1.0, 1.0, 1.0, OPEN),
        (math.nan, math.nan, math.nan, OPEN),
    ],
)
def test_more_robust_means_above_the_curve(low: float, high: float, p_holm: float, verdict: Verdict) -> None:
    assert claims.more_robust(Contrast((low + high) / 2, low, high, p_holm=p_holm), level=0.05) is verdict


def test_unpaired_difference_adds_both_widths() -> None:
    found = claims.unpaired_difference(Estimate(10.0, 8.0, 13.0), Estimate(12.0, 11.0, 14.0))
    assert (found.value, found.low, found.high) == (-2.0, -6.0, 2.0)


@pytest.mark.parametrize(
    ("method", "verdict"),
    [(Estimate(8.0, 7.0, 9.0), YES), (Estimate(20.0, 18.0, 22.0), NO), (Estimate(11.0, 9.0, 13.0), OPEN)],
)
def test_captions_with_a_full_model_between_9_and_11(method: Estimate, verdict: Verdict) -> None:
    assert claims.no_worse_captions(method, Estimate(10.0, 9.0, 11.0), margin=1.0) is verdict


def test_without_an_interval_nothing_is_decided() -> None:
    assert claims.non_inferior(Estimate(5.0), 1.0) is OPEN
    assert claims.better(Contrast(-5.0), 0.05) is OPEN
    assert claims.no_worse_captions(Estimate(5.0), Estimate(9.0), 1.0) is OPEN
