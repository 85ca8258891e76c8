"""The uniform grid: worked by hand, and the same whatever the picture shows."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from tests.pruning._made_up import Picture, chosen, is_everything, picture, pictures, shares

from pruneproof.pruning import kept_count
from pruneproof.pruning.uniform_grid import Settings, build


def test_a_quarter_of_four_by_four_by_hand() -> None:
    (kept,) = chosen(build(Settings(keep=0.25)), picture(4, 4, 0))
    # Cells of 2 x 2; the middle of an even length is its second place: rows and columns 1 and 3.
    assert kept.index.tolist() == [5, 7, 13, 15]


@given(one=pictures, keep=shares)
def test_as_many_as_the_share_asks_for_in_the_order_of_the_picture(one: Picture, keep: float) -> None:
    (kept,) = chosen(build(Settings(keep=keep)), one)
    assert kept.count == kept_count(keep, one.count)
    assert bool((kept.index.diff() > 0).all())
    assert kept.weights is None


@given(one=pictures)
def test_keeping_all_changes_nothing(one: Picture) -> None:
    assert is_everything(chosen(build(Settings(keep=1.0)), one), one)


def test_no_two_pictures_differ() -> None:
    first, second = (chosen(build(Settings(keep=0.3)), picture(6, 6, seed))[0] for seed in (0, 1))
    assert torch.equal(first.index, second.index)


@pytest.mark.parametrize("door", ["before_connector", "after_connector"])
def test_its_door_is_an_option(door: str) -> None:
    assert build(Settings.model_validate({"keep": 0.5, "door": door})).door == door
