"""ToMe's merging against its official code restated step by step, and its schedule."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pruneproof.pruning.tome import Settings, build, merged, remaining
from pruneproof.seeds import generator


def official(metric: Tensor, x: Tensor, size: Tensor, r: int) -> tuple[Tensor, Tensor]:
    """facebookresearch/ToMe `tome/merge.py::bipartite_soft_matching`, `merge_wavg`, with `class_token=True`.

    Args:
        metric: [T, W] keys, CLS first.
        x: [T, D] tokens.
        size: [T, 1].
        r: mergers.

    Returns:
        Tokens [T - r, D] and their sizes [T - r], CLS first.
    """
    t = metric.shape[0]
    r = min(r, (t - 1) // 2)
    metric = metric / metric.norm(dim=-1, keepdim=True)
    a, b = metric[::2, :], metric[1::2, :]
    scores = a @ b.transpose(-1, -2)
    scores[0, :] = -torch.inf
    node_max, node_idx = scores.max(dim=-1)
    edge_idx = node_max.argsort(dim=-1, descending=True, stable=True)
    unm_idx, src_idx = edge_idx[r:], edge_idx[:r]
    dst_idx = node_idx[src_idx]
    unm_idx = unm_idx.sort().values

    def merge(tokens: Tensor) -> Tensor:
        src, dst = tokens[::2].clone(), tokens[1::2].clone()
        for source, target in zip(src_idx.tolist(), dst_idx.tolist(), strict=True):
            dst[target] += src[source]
        return torch.cat([src[unm_idx], dst])

    whole = merge(size)
    return merge(x * size) / whole, whole[:, 0]


@dataclass
class Layer:
    """A made-up layer; implements `TowerLayer` as far as ToMe looks."""

    keys: Tensor
    sizes: Tensor
    depth: int
    start: int

    @property
    def count(self) -> int:
        return len(self.sizes)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(0, 20), st.integers(0, 10_000))
def test_merging_is_the_official_code_s(count: int, r: int, seed: int) -> None:
    """Odd and even counts, from no merger to as many as there can be, with unequal sizes."""
    rng = torch.Generator().manual_seed(seed)
    keys, x = torch.randn(1 + count, 6, generator=rng), torch.randn(1 + count, 5, generator=rng)
    size = torch.randint(1, 5, (1 + count, 1), generator=rng).float()
    r = min(r, count // 2)
    expected, sizes = official(keys, x, size, r)
    kept = merged(keys[1:], size[1:, 0], r)
    assert kept.weights is not None
    torch.testing.assert_close(torch.cat([x[:1], kept.apply(x[1:])]), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close((kept.weights != 0).float() @ size[1:, 0], sizes[1:])
    torch.testing.assert_close(kept.weights.sum(dim=-1), torch.ones(count - r))
    assert sizes[0] == size[0], "CLS never merges"


def test_of_equal_pairs_the_first_merge() -> None:
    """All tokens are alike: the first patch of the first set merges into the first of the second."""
    kept = merged(torch.ones(6, 2), torch.ones(6), 1)
    assert kept.index.tolist() == [3, 5, 0, 2, 4]
    assert kept.weights is not None
    assert kept.weights[2].tolist() == [0.5, 0.5, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("start", "left", "depth"), [(576, 192, 23), (576, 64, 23), (256, 64, 5), (256, 13, 5), (16, 1, 4)]
)
def test_the_tower_ends_with_as_many_tokens_as_announced(start: int, left: int, depth: int) -> None:
    method = build(Settings(keep=left / start))
    assert method.budget(start, 3) == (left,) * 3
    count = start
    merges = []
    for layer in range(depth):
        kept = method.reduce(layer, Layer(torch.randn(2, count, 4), torch.ones(count), depth, start), generator(0))
        merges.append(0 if kept is None else count - kept.count)
        count -= merges[-1]
    assert count == left
    if left * 2 >= start // depth:
        assert max(merges) - min(merges) <= 1, "spread evenly"


def test_published_budgets_are_spread_as_evenly_as_whole_numbers_allow() -> None:
    """384 mergers over the 23 layers up to LLaVA-1.5's features: 7 times 16 and 16 times 17."""
    steps = [576, *(remaining(576, 192, 23, layer) for layer in range(23))]
    merges = [before - after for before, after in pairwise(steps)]
    assert sorted(merges) == [16] * 7 + [17] * 16


def test_keeping_everything_merges_nothing() -> None:
    method = build(Settings(keep=1.0))
    for layer in range(4):
        assert method.reduce(layer, Layer(torch.randn(2, 9, 4), torch.ones(9), 4, 9), generator(0)) is None
