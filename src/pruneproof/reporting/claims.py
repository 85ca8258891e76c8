"""The rules by which a claim is judged, stated before any number is seen.

A claim is supported or not supported only if its whole interval says so; everything between is inconclusive. Rules are
pure functions of an estimate, so that each can be worked by hand.
"""

from __future__ import annotations

import math
from enum import StrEnum

from pruneproof.reporting.estimates import Contrast, Estimate

PAPER_KEEP = 150 / 256
"""Share of tokens that the paper keeps ("about 150 of 256")."""
FLOPS_AT_MOST = 0.65
"""The paper claims about 0.6 times the FLOPs; 0.05 is allowed for "about"."""
SPEEDUP_AT_LEAST = 1.4
"""The paper claims 1.5 times; 0.1 is allowed for "about"."""


class Verdict(StrEnum):
    """Outcome of a rule."""

    SUPPORTED = "supported"
    NOT_SUPPORTED = "not supported"
    INCONCLUSIVE = "inconclusive"


def fewer_flops(ratio: float) -> Verdict:
    """Judge a ratio of FLOPs; counts have no spread, so only a missing one is inconclusive."""
    if math.isnan(ratio):
        return Verdict.INCONCLUSIVE
    return Verdict.SUPPORTED if ratio <= FLOPS_AT_MOST else Verdict.NOT_SUPPORTED


def faster(speedup: Estimate) -> Verdict:
    """Judge full latency over pruned latency by its quartiles, or by its range where that is what was kept."""
    return _beyond(speedup, SPEEDUP_AT_LEAST)


def non_inferior(difference: Estimate, margin: float) -> Verdict:
    """Judge a difference in points (method minus baseline, more is better): at most `margin` may be lost."""
    return _beyond(difference, -margin)


def better(contrast: Contrast, level: float) -> Verdict:
    """Judge a paired difference of which less is better (difference in drops, in hallucination).

    Args:
        contrast: the interval must exclude 0; if it has a Holm-corrected p-value, that must be below `level` too.
        level: 1 minus the confidence of the intervals.
    """
    if contrast.p_holm >= level:
        return Verdict.INCONCLUSIVE
    return _beyond(Estimate(-contrast.value, -contrast.high, -contrast.low), 0.0)


def more_robust(effective: Contrast, level: float) -> Verdict:
    """Judge an effective robustness: accuracy above what random pruning to the same clean accuracy keeps.

    Args:
        effective: the interval must lie above 0; if it has a Holm-corrected p-value, that must be below `level` too.
        level: 1 minus the confidence of the intervals.
    """
    return better(Contrast(-effective.value, -effective.high, -effective.low, p_holm=effective.p_holm), level)


def unpaired_difference(method: Estimate, baseline: Estimate) -> Estimate:
    """Method minus baseline from two separate intervals: wider than a paired one, so never too sure."""
    if not (method.bounded and baseline.bounded):
        return Estimate(method.value - baseline.value)
    return Estimate(method.value - baseline.value, method.low - baseline.high, method.high - baseline.low)


def no_worse_captions(method: Estimate, baseline: Estimate, margin: float) -> Verdict:
    """Judge CHAIR_i, of which less is better, by the difference of two separate intervals."""
    difference = unpaired_difference(method, baseline)
    return _beyond(Estimate(-difference.value, -difference.high, -difference.low), -margin)


def _beyond(estimate: Estimate, threshold: float) -> Verdict:
    """Supported if the whole interval is above the threshold, not supported if it is below."""
    if not estimate.bounded:
        return Verdict.INCONCLUSIVE
    if estimate.low > threshold:
        return Verdict.SUPPORTED
    return Verdict.NOT_SUPPORTED if estimate.high < threshold else Verdict.INCONCLUSIVE
