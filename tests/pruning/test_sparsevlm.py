"""SparseVLM v1.5 against its official code restated step by step."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from tests.pruning._layers import FakeLayer, fake_layer

from pruneproof.pruning.sparsevlm import Settings, SparseVlm, clusters, raters
from pruneproof.seeds import generator


def sparsevlm(**options: Any) -> SparseVlm:
    return SparseVlm(Settings(**options))


def official_raters(visual: NDArray[np.float64], text: NDArray[np.float64]) -> list[int]:
    """Gumpest/SparseVLMs v1.5 `modelling_sparse_llama.py`, "select text tokens"."""
    shares = np.zeros(len(text))
    for v in visual:
        exponents = np.exp([v @ t - max(v @ u for u in text) for t in text])
        shares += exponents / exponents.sum() / len(visual)
    return [i for i, share in enumerate(shares) if share > shares.mean()] or list(range(len(text)))


def official_clusters(x: NDArray[np.float32], cluster_num: int, noise: NDArray[np.float32]) -> list[int]:
    """Gumpest/SparseVLMs v1.5 `utils.py::cluster_and_merge` up to `idx_cluster`, with loops."""
    n, c = x.shape
    dist = [[np.float32(np.sqrt(((x[i] - x[j]) ** 2).sum())) / np.float32(c**0.5) for j in range(n)] for i in range(n)]
    density = []
    for i in range(n):
        nearest = sorted(dist[i])[:cluster_num]
        density.append(np.float32(math.exp(-np.mean([d**2 for d in nearest], dtype=np.float32))) + noise[i])
    dist_max = max(max(row) for row in dist)
    score = []
    for i in range(n):
        to_denser = min(dist[i][j] if density[j] > density[i] else dist_max for j in range(n))
        score.append(to_denser * density[i])
    centres = sorted(range(n), key=lambda i: (-score[i], i))[:cluster_num]
    own = [min(range(cluster_num), key=lambda k: (dist[centres[k]][i], k)) for i in range(n)]
    for k, centre in enumerate(centres):
        own[centre] = k
    return own


def official(layer: FakeLayer, keep: int, noise: NDArray[np.float32]) -> tuple[list[int], NDArray[np.float64]]:
    """One stage of the official loop: kept tokens, and the visual states that the next layer reads."""
    rating = official_raters(layer.embedded_visual.double().numpy(), layer.embedded_text.double().numpy())
    maps = layer.maps[1].double().numpy()
    rows = [int(layer.text[0]) + i for i in rating]
    scores = [np.float32(np.mean([[head[row, v] for row in rows] for head in maps])) for v in layer.visual.tolist()]
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    kept = sorted(order[:keep])
    dropped = [i for i in range(len(scores)) if i not in kept]
    recycled = sorted(dropped, key=lambda i: (-scores[i], i))[: int(len(dropped) * 0.3) + 1]
    states = layer.state[layer.visual].numpy()
    number = int(len(recycled) / 10) + 1
    own = official_clusters(states[recycled], number, noise[: len(recycled)])
    merged = []
    for k in range(number):
        members = [
            states[token].astype(np.float64) for token, cluster in zip(recycled, own, strict=True) if cluster == k
        ]
        merged.append(sum(members) / (len(members) + 1e-6))
    return kept, np.array([*(states[i].astype(np.float64) for i in kept), *merged])


@settings(deadline=None)
@given(st.data(), st.integers(2, 45), st.integers(1, 6), st.integers(0, 1000), st.sampled_from([0, 0, 3]))
def test_a_stage_is_the_official_one(data: st.DataObject, count: int, text: int, seed: int, levels: int) -> None:
    keep = data.draw(st.integers(1, count - 1))
    layer = fake_layer(count, seed=seed, text=text, levels=levels, heads=1 if levels else 2)
    kept = sparsevlm(layers=(2,), keep=(keep / count,)).narrow(3, layer, generator(seed))
    noise = generator(seed).random(count, dtype=np.float32) * np.float32(1e-6)
    index, states = official(layer, keep, noise)
    assert kept is not None
    merged = kept.count - keep
    assert kept.index.tolist() == index + [-1] * merged
    np.testing.assert_allclose(kept.apply(layer.state[layer.visual]).numpy(), states, atol=2e-6)


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(1, 9), st.integers(0, 1000))
def test_the_words_that_rate_are_the_official_ones(count: int, text: int, seed: int) -> None:
    layer = fake_layer(count, seed=seed, text=text)
    found = raters(layer.embedded_visual, layer.embedded_text).tolist()
    assert found == official_raters(layer.embedded_visual.double().numpy(), layer.embedded_text.double().numpy())


def test_all_words_rate_if_none_stands_out() -> None:
    assert raters(torch.ones(3, 4), torch.ones(5, 4)).tolist() == [0, 1, 2, 3, 4]
    assert raters(torch.ones(3, 4), torch.ones(1, 4)).tolist() == [0]


def test_two_far_apart_groups_are_two_clusters() -> None:
    states = torch.tensor([[0.0], [0.1], [9.0], [9.1], [0.2]])
    own = clusters(states, 2, torch.tensor([0.0, 2e-7, 0.0, 1e-7, 0.0]))
    assert own[0] == own[1] == own[4]
    assert own[2] == own[3] != own[0]


def test_noise_comes_from_the_stream() -> None:
    """Tokens as far from one another as all others are differ by it alone."""
    drawn = fake_layer(60, levels=1, heads=1)
    layer = replace(drawn, state=torch.eye(len(drawn.state)))
    method = sparsevlm(layers=(2,), keep=(0.1,))
    first, again, other = (method.narrow(3, layer, generator(seed)) for seed in (1, 1, 2))
    assert first is not None
    assert again is not None
    assert other is not None
    assert first.key == again.key
    assert first.key != other.key


@settings(deadline=None)
@given(st.integers(1, 60), st.sampled_from([4, 5, 32]), st.sampled_from(["llava15_192", "llava15_64", (0.9, 0.9, 0.8)]))
def test_the_budget_is_what_is_left(count: int, depth: int, keep: Any) -> None:
    method, left, found = sparsevlm(keep=keep), count, []
    for number in range(depth):
        kept = method.narrow(number, fake_layer(left, start=count, depth=depth, heads=1), generator(0))
        left = left if kept is None else kept.count
        found.append(left)
    assert tuple(found) == method.budget(count, depth)


@pytest.mark.parametrize(
    ("keep", "stages", "mean"),
    [
        # 276 dropped: 83 merged into 9. 109 dropped: 33 into 4. 94 dropped: 29 into 3.
        ("llava15_192", [576, 309, 204, 113], (3 * 576 + 4 * 309 + 9 * 204 + 16 * 113) / 32),
        # 273: 82 into 9. 202: 61 into 7. 81: 25 into 3.
        ("llava15_128", [576, 312, 117, 39], (3 * 576 + 4 * 312 + 9 * 117 + 16 * 39) / 32),
        # 510: 154 into 16. 52: 16 into 2. 15: 5 into 1.
        ("llava15_64", [576, 82, 32, 18], (3 * 576 + 4 * 82 + 9 * 32 + 16 * 18) / 32),
    ],
)
def test_the_published_budgets(keep: Any, stages: list[int], mean: float) -> None:
    budget = sparsevlm(keep=keep).budget(576, 32)
    assert [budget[i] for i in (2, 3, 7, 16)] == stages
    assert sum(budget) / 32 == mean


def test_keeping_everything_is_the_full_model() -> None:
    method = sparsevlm(keep=(1.0, 1.0, 1.0))
    assert all(method.narrow(number, fake_layer(7), generator(0)) is None for number in range(32))
    assert method.budget(7, 32) == (7,) * 32


def test_one_token_stays_beside_a_merged_one() -> None:
    kept = sparsevlm(layers=(2,), keep=(0.001,)).narrow(3, fake_layer(9), generator(0))
    assert kept is not None
    assert kept.index[1:].tolist() == [-1]


@pytest.mark.parametrize("options", [{"keep": (0.5,)}, {"keep": "llava15_32"}, {"layers": (2, 6, 31)}, {"layers": ()}])
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        sparsevlm(**options)
