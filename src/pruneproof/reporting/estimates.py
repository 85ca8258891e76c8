"""A number with its interval, and how both are written for a reader."""

from __future__ import annotations

import math
from dataclasses import dataclass

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with a confidence interval; NaN where it was not measured or has no interval."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan

    @property
    def known(self) -> bool:
        """Whether there is a value."""
        return not math.isnan(self.value)

    @property
    def bounded(self) -> bool:
        """Whether there is an interval."""
        return self.known and not (math.isnan(self.low) or math.isnan(self.high))


@dataclass(frozen=True, slots=True)
class Contrast(Estimate):
    """A paired difference between two methods, with its p-values."""

    p: float = math.nan
    """Two-sided bootstrap p-value."""
    p_holm: float = math.nan
    """The same after Holm's correction; NaN unless the contrast is primary."""


def number(value: float, digits: int = 1, sign: bool = False) -> str:
    """`12.3`, with a real minus sign; an en dash if the value is NaN; never `-0.0`.

    Args:
        value: what to write.
        digits: decimal places.
        sign: write `+` before positive numbers.
    """
    if math.isnan(value):
        return DASH
    rounded = round(value, digits) + 0.0
    text = f"{abs(rounded):.{digits}f}"
    mark = MINUS if rounded < 0 else "+" if sign and rounded > 0 else ""
    return mark + text


def p_value(value: float) -> str:
    """`0.012`, or `<0.001`; an en dash if it is NaN."""
    return "<0.001" if value < 0.001 else number(value, 3)


def interval(estimate: Estimate, digits: int = 1, sign: bool = False, unit: str = "") -> str:
    """`+1.2 pp [0.3, 2.1]`; without the brackets if there is no interval."""
    text = number(estimate.value, digits, sign)
    if not estimate.known:
        return text
    text += unit
    if estimate.bounded:
        text += f" [{number(estimate.low, digits, sign)}, {number(estimate.high, digits, sign)}]"
    return text
