"""EViT against a transcription of its block, and its schedule by hand."""

from __future__ import annotations

from math import ceil
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.pruning._made_up import Picture, check, pictures

from pruneproof.errors import PruneProofError
from pruneproof.pruning.evit import EVit, Settings, build
from pruneproof.seeds import generator


def transcription(states: np.ndarray, attention: list[float], rate: float, fuse: bool) -> np.ndarray:
    """`Attention.forward` and `Block.forward` without CLS, between a block's attention and its feed-forward."""
    left = ceil(rate * len(states))
    if left == len(states):
        return states
    order = sorted(range(len(states)), key=lambda patch: -attention[patch])
    kept = [states[patch] for patch in order[:left]]
    if fuse:
        extra = np.zeros_like(states[0])
        for patch in range(len(states)):
            if patch not in order[:left]:
                extra = extra + attention[patch] * states[patch]
        kept.append(extra)
    return np.stack(kept)


def layer(one: Picture, depth: int = 12) -> Any:
    return SimpleNamespace(count=one.count, start=one.count, depth=depth, cls_attention=one.cls_attention(-2))


@given(one=pictures, rate=st.sampled_from([0.01, 0.48, 0.5, 0.7, 0.99, 1.0]), fuse=st.booleans())
def test_it_is_the_official_block(one: Picture, rate: float, fuse: bool) -> None:
    kept = build(Settings(rate=rate, fuse=fuse)).reduce(3, layer(one), generator(0))
    states = one.features.numpy()
    found = states if kept is None else kept.apply(one.features).numpy()
    expected = transcription(states, one.cls_attention(-2).tolist(), rate, fuse)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    if kept is not None:
        check(kept, one.count)
        assert kept.index[-1] == -1 or not fuse


@pytest.mark.parametrize(("depth", "expected"), [(12, [3, 6, 9]), (24, [6, 12, 18]), (23, [6, 12, 17]), (5, [1, 3, 4])])
def test_layers_that_drop(depth: int, expected: list[int]) -> None:
    one = SimpleNamespace(count=10, depth=depth, cls_attention=torch.rand(10))
    acts = [n for n in range(depth) if build(Settings()).reduce(n, one, generator(0)) is not None]
    assert acts == expected


@given(count=st.integers(1, 600), rate=st.sampled_from([0.01, 0.48, 0.5, 0.7, 0.99, 1.0]), fuse=st.booleans())
def test_the_budget_is_what_the_layers_leave(count: int, rate: float, fuse: bool) -> None:
    method: EVit = build(Settings(rate=rate, fuse=fuse))
    left = count
    for n in range(12):
        view: Any = SimpleNamespace(count=left, depth=12, cls_attention=torch.arange(left) / left)
        kept = method.reduce(n, view, generator(0))
        left = left if kept is None else kept.count
    assert method.budget(count, 2) == (left, left)


@pytest.mark.parametrize(
    ("rate", "of_576", "of_256"), [(0.69, 190, 85), (0.61, 132, 59), (0.48, 64, 29), (0.7, 199, 89), (1.0, 576, 256)]
)
def test_rates_near_published_budgets(rate: float, of_576: int, of_256: int) -> None:
    assert build(Settings(rate=rate)).budget(576, 1) == (of_576,)
    assert build(Settings(rate=rate)).budget(256, 1) == (of_256,)


def test_a_rate_of_one_changes_nothing() -> None:
    view: Any = SimpleNamespace(count=9, depth=12, cls_attention=torch.rand(9))
    assert all(build(Settings(rate=1.0, fuse=True)).reduce(n, view, generator(0)) is None for n in range(12))


def test_a_tower_with_too_few_layers_is_refused() -> None:
    view: Any = SimpleNamespace(count=9, depth=2, cls_attention=torch.rand(9))
    with pytest.raises(PruneProofError, match="name fewer"):
        build(Settings()).reduce(0, view, generator(0))
