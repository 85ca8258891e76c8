"""DART against its official code restated step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.pruning._layers import FakeLayer, fake_layer

from pruneproof.pruning.dart import Dart, Settings
from pruneproof.seeds import generator


def dart(keep: float = 0.25, **options: Any) -> Dart:
    return Dart(Settings(keep=keep, **options))


def official(layer: FakeLayer, asked: int, image_pivots: int = 4, text_pivots: int = 4) -> list[int]:
    """ZichenWen1/DART `get_retained_image_token` with sets and loops.

    Among equal scores the first wins, which `topk` leaves open.
    """
    top_k = asked // (image_pivots + text_pivots)
    start, length = int(layer.visual[0]), len(layer.visual)
    keys = layer.key[1].double().numpy()
    norm = [float(np.abs(keys[:, place]).sum()) for place in range(keys.shape[1])]
    places = range(start, start + length)
    image_indices = sorted(places, key=lambda p: (-np.float32(norm[p]), p))[:image_pivots]
    query_places = range(start + length, keys.shape[1])
    query_indices = sorted(query_places, key=lambda p: (-np.float32(norm[p]), p))[:text_pivots]
    indices_set = set(image_indices + query_indices)
    valid_indices = set(places)
    valid_indices.difference_update(image_indices)
    states = layer.normed.double().numpy()

    def cosine(a: int, b: int) -> float:
        return round(float(states[a] @ states[b] / np.linalg.norm(states[a]) / np.linalg.norm(states[b])), 6)

    for item in list(indices_set.copy()):
        best = sorted(valid_indices, key=lambda p: (cosine(item, p), p))[:top_k]
        indices_set.update(best)
        valid_indices.difference_update(best)
    indices_set.difference_update(query_indices)
    return sorted(place - start for place in indices_set)


@settings(deadline=None)
@given(st.integers(5, 60), st.integers(0, 40), st.integers(4, 12), st.integers(0, 1000), st.data())
def test_the_kept_tokens_are_the_official_ones(
    count: int, prefix: int, text: int, seed: int, data: st.DataObject
) -> None:
    asked = data.draw(st.integers(1, max(1, (count - 4) // 8 * 8)))
    layer = fake_layer(count, seed=seed, prefix=prefix, text=text)
    kept = dart(asked / count).narrow(2, layer, generator(0))
    assert (list(range(count)) if kept is None else kept.index.tolist()) == official(layer, asked)
    assert kept is None or kept.weights is None


@settings(deadline=None)
@given(st.integers(5, 40), st.integers(0, 1000))
def test_equal_keys_go_to_the_first(count: int, seed: int) -> None:
    layer = fake_layer(count, seed=seed, levels=2, width=2)
    layer.state.copy_(fake_layer(count, seed=seed, width=2).state)
    kept = dart(1 / count).narrow(2, layer, generator(0))
    assert kept is not None
    assert kept.index.tolist() == official(layer, 1)


def test_only_one_layer_drops_tokens() -> None:
    method, layer = dart(), fake_layer(32)
    acting = [number for number in range(32) if method.narrow(number, layer, generator(0)) is not None]
    assert acting == [2]


@settings(deadline=None)
@given(st.integers(1, 60), st.floats(0.01, 1.0), st.integers(0, 9), st.sampled_from([4, 5, 32]))
def test_the_budget_is_what_is_left(count: int, keep: float, text: int, depth: int) -> None:
    method, left, found = dart(keep), count, []
    for number in range(depth):
        layer = fake_layer(left, start=count, depth=depth, heads=1, text=text)
        kept = method.narrow(number, layer, generator(0))
        left = left if kept is None else kept.count
        found.append(left)
    assert tuple(found) == method.budget(count, depth)


def test_128_of_576_are_132() -> None:
    budget = dart(0.2222).budget(576, 32)
    assert [budget[0], budget[1], budget[2], budget[31]] == [576, 576, 132, 132]


@settings(deadline=None)
@given(st.integers(1, 40))
def test_keeping_everything_is_the_full_model(count: int) -> None:
    assert dart(1.0).narrow(2, fake_layer(count), generator(0)) is None
    assert dart(1.0).budget(count, 32) == (count,) * 32


def test_one_token_is_the_whole_picture() -> None:
    assert dart().narrow(2, fake_layer(1), generator(0)) is None


def test_positions_keep_their_numbers() -> None:
    assert not dart().renumbers


@pytest.mark.parametrize("options", [{"keep": 0.0}, {"layer": 0}, {"layer": 32}, {"image_pivots": 0}, {"pivots": 4}])
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"keep": 0.5, **options})
