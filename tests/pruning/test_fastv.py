"""FastV against its official code restated step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.pruning._layers import FakeLayer, fake_layer

from pruneproof.pruning.fastv import FastV, Settings
from pruneproof.seeds import generator


def fastv(keep: float = 0.5, **options: Any) -> FastV:
    return FastV(Settings(keep=keep, **options))


def official(layer: FakeLayer, ratio: float) -> list[int]:
    """pkunlp-icler/FastV `LlamaModel.fastv_forward`: the last token's attention in the layer before, mean over heads.

    `round` is Python's, which takes halves to the even number; among equal scores the first wins, which `topk` leaves
    open.
    """
    average = layer.maps[1].double().numpy().mean(axis=0)
    last = np.float32(average[-1])
    scores = [last[place] for place in layer.visual.tolist()]
    rank = round(len(scores) * (1 - ratio))
    return sorted(sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:rank])


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(0, 1000), st.sampled_from([0, 2, 3]), st.data())
def test_the_kept_tokens_are_the_official_ones(count: int, seed: int, levels: int, data: st.DataObject) -> None:
    kept_tokens = data.draw(st.integers(1, count))
    layer = fake_layer(count, seed=seed, levels=levels, heads=1 if levels else 2)
    kept = fastv(kept_tokens / count).narrow(2, layer, generator(0))
    expected = official(layer, 1 - kept_tokens / count)
    if kept is None:
        assert expected == list(range(count))
    else:
        assert kept.index.tolist() == expected
        assert kept.weights is None


@pytest.mark.parametrize(("depth", "of", "at"), [(32, 32, 3), (40, 40, 3), (40, 32, 4), (16, 32, 2), (4, 32, 1)])
def test_only_one_layer_drops_tokens_at_its_share_of_the_depth(depth: int, of: int, at: int) -> None:
    """Layer 3 of 32 is 3.75 of 40, 1.5 of 16 and 0.375 of 4, rounded half up, and never the first."""
    method, layer = fastv(layer=3, of=of), fake_layer(32, depth=depth)
    assert [number for number in range(depth) if method.narrow(number, layer, generator(0)) is not None] == [at]
    assert method.budget(32, depth) == (32,) * at + (16,) * (depth - at)


@pytest.mark.parametrize(("mean", "left"), [(192, 166), (128, 98), (64, 30)])
def test_the_published_budgets_are_means_over_layers(mean: int, left: int) -> None:
    """Of 192, 128 and 64 tokens on average, 166, 98 and 30 are left after layer 2 (2 x 576 + 30 x n) / 32."""
    method = FastV(Settings.model_validate({"keep": f"llava15_{mean}"}))
    budget = method.budget(576, 32)
    assert budget == (576, 576, *(left,) * 30)
    assert abs(sum(budget) / 32 - mean) < 0.5
    kept = method.narrow(2, fake_layer(576), generator(0))
    assert kept is not None
    assert len(kept.index) == left


@pytest.mark.parametrize("wrong", [{"layer": 32}, {"layer": 0}, {"keep": "llava15_64", "layer": 4}, {"keep": "llava"}])
def test_a_layer_too_late_and_an_unknown_budget_are_refused(wrong: dict[str, Any]) -> None:
    """Four of 32 layers that read all 576 tokens already read 72 on average."""
    with pytest.raises(ValidationError):
        Settings.model_validate({"keep": 0.5} | wrong)


def test_positions_keep_their_numbers() -> None:
    assert not fastv().renumbers
