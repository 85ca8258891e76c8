"""The finding's sentence says what the rules say of numbers that are set by hand."""

from __future__ import annotations

import dataclasses

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


def test_the_sentence_follows_the_rules(report: Report) -> None:
    assert finding(with_effective(report, atp_60=2.0, atp_25=-3.0), "builtin_llava") == (
        "On `builtin_llava`, ATP 60% (+2.0 points [+1.0, +3.0]) is more robust to corrupted pictures than clean "
        "accuracy predicts, ATP 25% (\N{MINUS SIGN}3.0 points [\N{MINUS SIGN}4.0, \N{MINUS SIGN}2.0]) is less robust; "
        "at the full model's recall ATP 25% (+3.0 points [+2.0, +4.0]) invents more absent objects; "
        "ATP 60% is undecided."
    )
    assert "no primary method is more robust" in finding(
        with_effective(report, atp_60=0.5, atp_25=0.5), "builtin_llava"
    )


def test_without_primary_methods_all_are_judged(report: Report) -> None:
    scoring = report.study.scoring.model_copy(update={"primary": ()})
    study = report.study.model_copy(update={"scoring": scoring})
    worse = with_effective(report, atp_60=-2.0, atp_25=-3.0, atp_25_reversed=-4.0)
    found = finding(dataclasses.replace(worse, study=study), "builtin_llava")
    assert "all 3 methods are (most: ATP 25% (reversed) (\N{MINUS SIGN}4.0 points" in found
