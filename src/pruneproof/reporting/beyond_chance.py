"""Whether there is anything to judge: a model that is not shown to be better than chance has no lead to keep or lose.

Chance is the model that sees nothing and gives every kind of question its most frequent answer. One that gives the same
answer to every yes-or-no question is never better than that one, so the same rule finds it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from pruneproof.records import EXISTENCE
from pruneproof.reporting.estimates import number
from pruneproof.reporting.headline import LIVE
from pruneproof.reporting.report import Report

ALL = "accuracy/all"
"""What accuracy and effective robustness rest on."""
YES_NO = f"accuracy/{EXISTENCE}"
"""What the full model's recall rests on, at which invented objects are counted."""
MARGINS = "sensitivity/auc"
"""What a method's invented objects at that recall rest on: the order of its margins, wherever its threshold lies."""

_NAMES = {ALL: "", YES_NO: " on yes-or-no questions", MARGINS: " at telling present from absent objects"}
_UNITS = {ALL: "% right", YES_NO: "% right", MARGINS: "% area under the ROC curve"}
_HALF = 50.0
"""The area in percent under the ROC curve of margins that say nothing."""
_PLACES = {"clean": "", "image": " under corruption", "text": " under rewording"}


def shortfall(report: Report, backbone: str, method: str, measure: str, family: str = "clean") -> str:
    """Why nothing can be judged of a method: `is no better than chance (21.0% right, chance 55.0%)`; empty if its whole
    interval, or its value where it has none, lies above chance, or if either of the two was not measured.

    Args:
        report: the study.
        backbone: id.
        method: id.
        measure: `ALL`, `YES_NO` or `MARGINS`.
        family: `clean`, or `image` or `text`, over their live conditions.
    """
    found, chance = report.estimate(backbone, method, measure, family, _where(family)), _chance(report, measure)
    if not found.known or math.isnan(chance) or (found.low if found.bounded else found.value) > chance:
        return ""
    told = "is not shown to be" if found.value > chance else "is no"
    told += " better than chance"
    figures = f"{number(found.value)}{_UNITS[measure]}, chance {number(chance)}%"
    return f"{told}{_NAMES[measure]}{_PLACES[family]} ({figures})"


def no_baseline(report: Report, backbone: str, measure: str, family: str = "clean") -> str:
    """Why no method can be judged beside the full model: `the full model is no better than chance (...)`; empty if one
    can. Arguments as of `shortfall`; a perturbed family is judged on clean input as well."""
    for where in dict.fromkeys(("clean", family)):
        if found := shortfall(report, backbone, report.baseline, measure, where):
            return f"the full model {found}"
    return ""


def mean_at_chance(
    report: Report, backbone: str, kinds: Mapping[str, Sequence[str]], measure: str, family: str = "clean"
) -> frozenset[str]:
    """The kinds of method that are no better than chance in the mean of their methods, and so not better than another.

    Args:
        report: the study.
        backbone: id.
        kinds: ids of the methods of each.
        measure: as of `shortfall`.
        family: as of `shortfall`.
    """
    chance, where = _chance(report, measure), _where(family)
    means = {
        kind: fmean(report.estimate(backbone, name, measure, family, where).value for name in names)
        for kind, names in kinds.items()
    }
    return frozenset(kind for kind, mean in means.items() if mean <= chance)


def not_better(report: Report, backbone: str, method: str, measure: str, family: str = "clean") -> str:
    """Why a method cannot be called better than another: `the method is no better than chance (...)`; empty if it can.
    Arguments as of `shortfall`."""
    found = shortfall(report, backbone, method, measure, family)
    return f"the method {found}" if found else ""


def _chance(report: Report, measure: str) -> float:
    """In percent; nan if it is not known."""
    return _HALF if measure == MARGINS else report.chance_level(measure)


def _where(family: str) -> str:
    """The `perturbation` of a family's mean that counts."""
    return "" if family == "clean" else LIVE
