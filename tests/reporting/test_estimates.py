from __future__ import annotations

import math

import pytest

from pruneproof.reporting.estimates import Estimate, interval, number, p_value


@pytest.mark.parametrize(
    ("value", "sign", "text"),
    [
        (1.25, False, "1.2"),
        (1.35, True, "+1.4"),
        (-0.04, True, "0.0"),
        (-2.0, False, "\u22122.0"),
        (math.nan, True, "\u2013"),
    ],
)
def test_number(value: float, sign: bool, text: str) -> None:
    assert number(value, 1, sign) == text


def test_interval_shows_brackets_only_if_there_is_an_interval() -> None:
    assert interval(Estimate(1.0, -0.5, 2.5), sign=True, unit=" pp") == "+1.0 pp [\u22120.5, +2.5]"
    assert interval(Estimate(1.0)) == "1.0"
    assert interval(Estimate(), unit=" pp") == "\u2013"


def test_small_p_values_are_never_zero() -> None:
    assert p_value(0.0002) == "<0.001"
    assert p_value(0.04) == "0.040"
    assert p_value(math.nan) == "\u2013"
