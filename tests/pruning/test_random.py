"""Random pruning at each of its doors."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from pydantic import ValidationError
from tests.pruning._made_up import Picture, chosen, is_everything, picture, pictures, shares, words

from pruneproof.errors import PruneProofError
from pruneproof.pruning import kept_count
from pruneproof.pruning.protocol import Narrows, Reduces, Selects
from pruneproof.pruning.random import Settings, build
from pruneproof.seeds import generator


def made(**options: Any) -> Any:
    return build(Settings.model_validate({"keep": 0.25} | options))


def test_the_set_of_a_seed_is_the_one_that_it_has_always_been() -> None:
    """Answers of earlier studies hold for it."""
    (kept,) = made().select(picture(4, 4, 0), words(0), generator(7, "a"))
    assert kept.index.tolist() == [1, 7, 9, 13]


@given(one=pictures, keep=shares)
def test_as_many_as_the_share_asks_for(one: Picture, keep: float) -> None:
    (kept,) = chosen(made(keep=keep), one)
    assert kept.count == kept_count(keep, one.count)
    assert bool((kept.index.diff() > 0).all())


@given(one=pictures)
def test_keeping_all_changes_nothing(one: Picture) -> None:
    assert is_everything(chosen(made(keep=1.0), one), one)


def test_every_door_draws_the_same_set_of_a_picture() -> None:
    before = made().select(picture(4, 4, 0), words(0), generator(1))[0].index
    after = made(door="after_connector").select(picture(4, 4, 0), words(0), generator(1))[0].index
    layer = SimpleNamespace(depth=6, count=16, state=torch.zeros(16, 2))
    tower = made(door="tower", layer=2).reduce(2, layer, generator(1)).index
    prompt = SimpleNamespace(depth=4, visual=torch.arange(5, 21))
    model = made(door="language", layer=2).narrow(2, prompt, generator(1)).index
    for kept in (after, tower, model):
        assert torch.equal(kept, before)


@pytest.mark.parametrize(
    ("options", "base", "budget"),
    [
        ({}, Selects, (4, 4, 4, 4)),
        ({"door": "after_connector"}, Selects, (4, 4, 4, 4)),
        ({"door": "tower", "layer": 0}, Reduces, (4, 4, 4, 4)),
        ({"door": "language", "layer": 0}, Narrows, (4, 4, 4, 4)),
        ({"door": "language", "layer": 3}, Narrows, (16, 16, 16, 4)),
    ],
)
def test_door_and_budget(options: dict[str, Any], base: type, budget: tuple[int, ...]) -> None:
    method = made(**options)
    assert isinstance(method, base)
    assert method.door == options.get("door", "before_connector")
    assert method.budget(16, 4) == budget
    assert not method.per_question


def test_other_layers_are_left_alone() -> None:
    layer = SimpleNamespace(depth=6, count=16, state=torch.zeros(16, 2))
    assert all(made(door="tower", layer=2).reduce(n, layer, generator(1)) is None for n in (0, 1, 3, 4, 5))
    prompt = SimpleNamespace(depth=4, visual=torch.arange(5, 21))
    assert all(made(door="language", layer=2).narrow(n, prompt, generator(1)) is None for n in (0, 1, 3))


def test_a_layer_that_never_comes_is_refused() -> None:
    with pytest.raises(PruneProofError, match="give at most 5"):
        made(door="tower", layer=6).reduce(0, SimpleNamespace(depth=6), generator(1))
    with pytest.raises(PruneProofError, match="give at most 3"):
        made(door="language", layer=4).narrow(0, SimpleNamespace(depth=4), generator(1))


@pytest.mark.parametrize(
    "options", [{"door": "tower"}, {"door": "language"}, {"layer": 1}, {"door": "after_connector", "layer": 1}]
)
def test_a_layer_is_given_exactly_where_there_are_layers(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="layer"):
        made(**options)
