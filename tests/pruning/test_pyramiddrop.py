"""PyramidDrop against its official code restated step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.pruning._layers import FakeLayer, fake_layer

from pruneproof.pruning.pyramiddrop import PyramidDrop, Settings
from pruneproof.seeds import generator


def pyramiddrop(**options: Any) -> PyramidDrop:
    return PyramidDrop(Settings(**options))


def official(layer: FakeLayer, ratio: float) -> list[int]:
    """Cooperx521/PyramidDrop `pdrop_rank_drop`: attention of the last token in the next layer, mean over heads, best.

    Loops and floats; among equal scores the first wins, which `topk` leaves open.
    """
    weights = layer.maps[0].double().numpy()
    scores = [np.mean([head[-1, place] for head in weights]) for place in layer.visual.tolist()]
    keep_length = max(1, int(layer.start * ratio))
    top = sorted(range(len(scores)), key=lambda i: (-np.float32(scores[i]), i))[:keep_length]
    return sorted(top)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(0, 5), st.floats(0.01, 1.0), st.integers(0, 100), st.sampled_from([0, 2, 3]))
def test_a_stage_is_the_official_one(count: int, dropped: int, keep: float, seed: int, levels: int) -> None:
    layer = fake_layer(count, seed=seed, levels=levels, heads=1 if levels else 2, start=count + dropped)
    kept = pyramiddrop(layers=(8,), keep=(keep,)).narrow(8, layer, generator(0))
    expected = official(layer, keep)
    if kept is None:
        assert expected == list(range(count))
    else:
        assert kept.index.tolist() == expected
        assert kept.weights is None


def test_only_the_layers_after_a_stage_drop_tokens() -> None:
    method, layer = pyramiddrop(), fake_layer(32)
    acting = [number for number in range(32) if method.narrow(number, layer, generator(0)) is not None]
    assert acting == [8, 16, 24]


@settings(deadline=None)
@given(st.integers(1, 60), st.sampled_from([4, 5, 32]))
def test_the_budget_is_what_is_left(count: int, depth: int) -> None:
    method, left, found = pyramiddrop(), count, []
    for number in range(depth):
        kept = method.narrow(number, fake_layer(left, start=count, depth=depth, heads=1), generator(0))
        left = left if kept is None else kept.count
        found.append(left)
    assert tuple(found) == method.budget(count, depth)


def test_the_published_budget() -> None:
    budget = pyramiddrop().budget(576, 32)
    assert [budget[i] for i in (0, 7, 8, 15, 16, 23, 24, 31)] == [576, 576, 288, 288, 144, 144, 72, 72]
    assert sum(budget) / 32 == 270


def test_keeping_everything_is_the_full_model() -> None:
    method = pyramiddrop(keep=(1.0, 1.0, 1.0))
    assert all(method.narrow(number, fake_layer(7), generator(0)) is None for number in range(32))
    assert method.budget(7, 32) == (7,) * 32


def test_one_token_stays() -> None:
    kept = pyramiddrop(layers=(8,), keep=(0.01,)).narrow(8, fake_layer(9), generator(0))
    assert kept is not None
    assert kept.count == 1


def test_positions_are_numbered_anew_for_each_question() -> None:
    assert pyramiddrop().renumbers
    assert pyramiddrop().per_question


@pytest.mark.parametrize("options", [{"layers": ()}, {"keep": (0.5,)}, {"layers": (24, 16, 8)}, {"of": 24}])
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        pyramiddrop(**options)


def test_the_state_is_left_alone() -> None:
    layer = fake_layer(16)
    before = layer.state.clone()
    pyramiddrop().narrow(8, layer, generator(0))
    assert torch.equal(layer.state, before)
