"""The finding's sentence says what the rules say of numbers that are set by hand."""

from __future__ import annotations

import dataclasses

import pytest

from pruneproof.reporting.finding import finding
from pruneproof.reporting.report import Report


def with_effective(report: Report, **values: float) -> Report:
    """Each method's effective robustness under corruption, one point to either side, with a small p."""
    table = report.effective.copy()
    for method, value in values.items():
        where = (table["method"] == method) & (table["family"] == "image") & (table["severity"] == "mean")
        table.loc[where, ["value", "low", "high", "p_holm"]] = [value, value - 1, value + 1, 0.001]
    contrasts = report.contrasts.copy()
    matched = contrasts["metric"] == "clean/hallucination/matched"
    contrasts.loc[matched, ["value", "low", "high"]] = [0.0, -1.0, 1.0]
    more = matched & (contrasts["method"] == "atp_25") & (contrasts["baseline"] == "full")
    contrasts.loc[more, ["value", "low", "high"]] = [3.0, 2.0, 4.0]
    return dataclasses.replace(report, effective=table, contrasts=contrasts)


def said(report: Report, *primary: str) -> str:
    """What the sentence says, without its beginning, with these primary methods."""
    scoring = report.study.scoring.model_copy(update={"primary": primary})
    study = report.study.model_copy(update={"scoring": scoring})
    return finding(dataclasses.replace(report, study=study), "builtin_llava").removeprefix("On `builtin_llava`, ")


PREDICTED = "to corrupted pictures than clean accuracy predicts"
MANY = ("atp_60", "atp_25", "atp_25_reversed")


def test_the_sentence_follows_the_rules(report: Report) -> None:
    assert finding(with_effective(report, atp_60=2.0, atp_25=-3.0), "builtin_llava") == (
        "On `builtin_llava`, ATP 60% (+2.0 points [+1.0, +3.0]) is more robust to corrupted pictures than clean "
        "accuracy predicts, and ATP 25% (\N{MINUS SIGN}3.0 points [\N{MINUS SIGN}4.0, \N{MINUS SIGN}2.0]) is less "
        "robust; at the full model's recall, ATP 25% (+3.0 points [+2.0, +4.0]) invents more absent objects, and "
        "ATP 60% is undecided."
    )


@pytest.mark.parametrize(
    ("values", "primary", "expected"),
    [
        ((0.5, 0.5, 0.5), ("atp_60",), f"ATP 60% is not shown to be more or less robust {PREDICTED}; "),
        ((2.0, 0.5, 0.5), ("atp_60",), f"ATP 60% (+2.0 points [+1.0, +3.0]) is more robust {PREDICTED}; "),
        ((-2.0, 0.5, 0.5), ("atp_60",), f"ATP 60% (-2.0 points [-3.0, -1.0]) is less robust {PREDICTED}; "),
        (
            (0.5, 0.5, 0.5),
            ("atp_60", "atp_25"),
            f"neither ATP 60% nor ATP 25% is shown to be more or less robust {PREDICTED}; ",
        ),
        (
            (-2.0, 0.5, 0.5),
            ("atp_60", "atp_25"),
            f"no primary method is shown to be more robust {PREDICTED}; ATP 60% (-2.0 points [-3.0, -1.0]) is less "
            "robust, and ATP 25% is undecided; ",
        ),
        ((0.5, 0.5, 0.5), MANY, f"none of the 3 primary methods is shown to be more or less robust {PREDICTED}; "),
        (
            (2.0, 3.0, 2.0),
            MANY,
            f"all 3 primary methods are more robust {PREDICTED} (furthest: ATP 25%, +3.0 points [+2.0, +4.0]); ",
        ),
    ],
)
def test_nothing_shown_is_not_said_to_be_absent(
    report: Report, values: tuple[float, float, float], primary: tuple[str, ...], expected: str
) -> None:
    set_ = with_effective(report, **dict(zip(MANY, values, strict=True)))
    assert said(set_, *primary).replace("\N{MINUS SIGN}", "-").startswith(expected)


def test_inventing_is_told_alike(report: Report) -> None:
    one = said(with_effective(report), "atp_60")
    assert one.endswith("at the full model's recall, ATP 60% is not shown to invent more or fewer absent objects.")
    fewer = report.contrasts.copy()
    rows = (fewer["metric"] == "clean/hallucination/matched") & fewer["method"].isin(["atp_60", "atp_25"])
    fewer.loc[rows & (fewer["method"] == "atp_60"), ["value", "low", "high"]] = [-3.0, -4.0, -2.0]
    fewer.loc[rows & (fewer["method"] == "atp_25"), ["value", "low", "high"]] = [0.0, -1.0, 1.0]
    assert said(dataclasses.replace(report, contrasts=fewer), "atp_60", "atp_25").endswith(
        "no primary method is shown to invent more absent objects; ATP 60% (\N{MINUS SIGN}3.0 points "
        "[\N{MINUS SIGN}4.0, \N{MINUS SIGN}2.0]) invents fewer, and ATP 25% is undecided."
    )


def test_a_backbone_without_the_primary_methods_speaks_of_methods(report: Report) -> None:
    worse = with_effective(report, atp_60=0.5, atp_25=0.5, atp_25_reversed=0.5)
    assert said(worse, "random_elsewhere").startswith("none of the 3 methods is shown to be more or less robust")


def test_without_primary_methods_all_are_judged(report: Report) -> None:
    scoring = report.study.scoring.model_copy(update={"primary": ()})
    study = report.study.model_copy(update={"scoring": scoring})
    worse = with_effective(report, atp_60=-2.0, atp_25=-3.0, atp_25_reversed=-4.0)
    found = finding(dataclasses.replace(worse, study=study), "builtin_llava")
    assert f"all 3 methods are less robust {PREDICTED} (furthest: ATP 25% (reversed), \N{MINUS SIGN}4.0 points" in found
