"""Published budgets as shares."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from pruneproof.pruning import kept_count
from pruneproof.pruning._budgets import PUBLISHED, Keep

READ = TypeAdapter(Keep)


@pytest.mark.parametrize(
    ("name", "of_576", "of_256"), [("llava15_192", 192, 85), ("llava15_128", 128, 57), ("llava15_64", 64, 28)]
)
def test_a_published_budget_is_its_number_of_576_and_that_share_of_256(name: str, of_576: int, of_256: int) -> None:
    share = READ.validate_python(name)
    assert kept_count(share, 576) == of_576
    assert kept_count(share, 256) == of_256


def test_a_share_stays_itself() -> None:
    assert READ.validate_python(0.25) == 0.25


@pytest.mark.parametrize("value", ["llava15_100", "a quarter", 0.0, 1.5, None])
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        READ.validate_python(value)


def test_an_unknown_name_is_answered_with_those_that_exist() -> None:
    with pytest.raises(ValidationError, match=", ".join(PUBLISHED)):
        READ.validate_python("llava_192")


@pytest.mark.parametrize(("mean", "kept"), [(192, 166), (128, 98), (64, 30)])
def test_fastv_keeps_fewer_to_average_a_published_budget(mean: int, kept: int) -> None:
    """Two layers of 32 read all 576 tokens."""
    assert round((2 * 576 + 30 * kept) / 32) == mean
