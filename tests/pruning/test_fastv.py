"""FastV against its official code restated step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
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


def test_only_one_layer_drops_tokens() -> None:
    method, layer = fastv(layer=3), fake_layer(32)
    assert [number for number in range(32) if method.narrow(number, layer, generator(0)) is not None] == [3]


def test_the_published_budgets_are_means_over_layers() -> None:
    """Of 192, 128 and 64 tokens on average, 166, 98 and 30 are left after layer 2 (2 x 576 + 30 x n) / 32."""
    for left, mean in ((166, 192), (98, 128), (30, 64)):
        budget = fastv(left / 576).budget(576, 32)
        assert budget[1:3] == (576, left)
        assert abs(sum(budget) / 32 - mean) < 0.5


def test_positions_keep_their_numbers() -> None:
    assert not fastv().renumbers
