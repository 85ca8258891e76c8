"""Adaptive ATP: the smallest set that holds enough, against trying every size, and its bounds."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.pruning._made_up import Picture, chosen, is_everything, picture, pictures, words

from pruneproof.pruning import atp, kept_count
from pruneproof.pruning.atp_adaptive import Settings, build, enough


@given(values=st.lists(st.integers(0, 20), min_size=1, max_size=30), percent=st.integers(1, 100))
def test_enough_is_the_smallest_set_that_holds_the_share(values: list[int], percent: int) -> None:
    """Whole numbers and whole percents: no rounding in the expectation."""
    found = enough(torch.tensor(values, dtype=torch.float32), percent / 100)
    if sum(values) == 0:
        assert found == -(-percent * len(values) // 100)
        return
    ordered = sorted(values, reverse=True)
    sizes = range(1, len(values) + 1)
    assert found == next(size for size in sizes if 100 * sum(ordered[:size]) >= percent * sum(values))


@given(one=pictures, tau=st.floats(0.01, 1.0), alpha=st.sampled_from([0.0, 0.5, 1.0]), least=st.floats(0.01, 0.5))
def test_what_is_kept_is_atps_choice_of_that_size(one: Picture, tau: float, alpha: float, least: float) -> None:
    most = 0.8
    method = build(Settings(tau=tau, alpha=alpha, least=least, most=most))
    assert method.budget(one.count, 2) in {None, (kept_count(least, one.count),) * 2}
    for number, kept in enumerate(chosen(method, one, words(3))):
        assert kept_count(least, one.count) <= kept.count <= kept_count(most, one.count)
        plain = atp.Settings(keep=kept.count / one.count, alpha=alpha, normalisation="sum")
        same = chosen(atp.build(plain), one, words(3))[number]
        assert kept.index.tolist() == same.index.tolist()


def test_a_picture_whose_attention_is_gathered_keeps_fewer() -> None:
    sharp = torch.tensor([0.7, 0.1, 0.05, 0.05, 0.05, 0.05])
    flat = torch.full((6,), 1 / 6)
    assert (enough(sharp, 0.75), enough(flat, 0.75)) == (2, 5)


@given(one=pictures)
def test_bounds_at_one_change_nothing(one: Picture) -> None:
    assert is_everything(chosen(build(Settings(tau=0.5, least=1.0)), one), one)


@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_bounds_that_are_one_are_a_budget(alpha: float) -> None:
    method = build(Settings(tau=0.5, least=0.25, most=0.25, alpha=alpha))
    assert method.budget(16, 3) == (4, 4, 4)
    assert all(kept.count == 4 for kept in chosen(method, picture(4, 4, 0)))
    assert method.per_question == (alpha > 0)
    assert method.kind == ("text-guided" if alpha else "attention")


@pytest.mark.parametrize(
    "options",
    [{}, {"tau": 0.0}, {"tau": 1.2}, {"tau": 0.5, "least": 0.6, "most": 0.5}, {"tau": 0.5, "normalisation": "zscore"}],
)
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(options)
