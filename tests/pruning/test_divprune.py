"""DivPrune against its official code restated step by step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from pruneproof.pruning.divprune import DivPrune, Settings, farthest_points


def official(features: Tensor, threshold_terms: int) -> list[int]:
    """vbdi/divprune `LLaVA/llava/model/llava_arch.py::DivPrune`, with loops."""
    x = features.double().numpy()
    unit = [row / np.linalg.norm(row) for row in x]
    distance = [[1.0 - float(a @ b) for b in unit] for a in unit]
    s: list[int] = []
    for i in range(threshold_terms):
        if i == 0:
            scores = [sorted(column)[1] if len(column) > 1 else 0.0 for column in zip(*distance, strict=True)]
        else:
            scores = [min(distance[chosen][token] for chosen in s) for token in range(len(x))]
        s.append(max(range(len(x)), key=lambda token: (round(scores[token], 6), -token)))
    return sorted(s)


@settings(deadline=None)
@given(st.integers(1, 25), st.integers(2, 8), st.integers(0, 1000), st.integers(1, 25))
@example(6, 5, 174, 1)  # tokens 1 and 4 are nearest to each other, and no token is farther from its nearest
def test_the_kept_tokens_are_the_official_ones(count: int, width: int, seed: int, k: int) -> None:
    k = min(k, count)
    features = torch.randn(count, width, generator=torch.Generator().manual_seed(seed))
    expected = official(features, k)
    assume(len(set(expected)) == k)  # or the official code takes a token twice; see below
    assert farthest_points(features, k).tolist() == expected


def test_equal_tokens_are_not_taken_twice_as_the_official_code_does() -> None:
    features = torch.ones(5, 4)
    assert len(set(official(features, 3))) == 1
    assert farthest_points(features, 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize(("ratio", "count", "tokens"), [(0.098, 576, 56), (1 / 3, 576, 192), (1 / 9, 576, 64)])
def test_the_published_budgets(ratio: float, count: int, tokens: int) -> None:
    assert DivPrune(Settings(keep=ratio)).budget(count, 32) == (tokens,) * 32
    assert round(ratio * count) == tokens
