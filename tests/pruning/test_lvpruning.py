"""LVPruning's decision modules restated with loops, and which tokens their logits keep."""

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
from torch import Tensor

from pruneproof.errors import PruneProofError
from pruneproof.pruning.lvpruning import LvPruning, Settings, decide, shapes
from pruneproof.seeds import generator

WIDTH, HEADS, HIDDEN = 8, 2, 5


def lvpruning(**options: Any) -> LvPruning:
    return LvPruning(Settings(weights="decisions.safetensors", **options))


def module(seed: int = 0) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=rng) for name, shape in shapes(WIDTH, HEADS, HIDDEN).items()}


def with_modules(layer: FakeLayer, stages: int = 3) -> FakeLayer:
    weights = {f"{stage}.{name}": tensor for stage in range(stages) for name, tensor in module(stage).items()}
    return replace(layer, weights=weights)


def restated(weights: dict[str, Tensor], visual: Tensor, text: Tensor) -> NDArray[np.float64]:
    """The module token by token."""
    w = {name: tensor.double().numpy() for name, tensor in weights.items()}

    def norm(x: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = x / math.sqrt((x**2).mean() + np.finfo(np.float32).eps)
        return found

    asked = [norm(t) * w["text_norm"] for t in text.double().numpy()]
    found = []
    for token in visual.double().numpy():
        asking = norm(token) * w["visual_norm"]
        heard: list[float] = []
        for head in range(HEADS):
            query = w["query"][head] @ asking
            logits = [query @ (w["key"][head] @ word) / math.sqrt(WIDTH / HEADS) for word in asked]
            exponents = [math.exp(logit - max(logits)) for logit in logits]
            values = [w["value"][head] @ word for word in asked]
            heard += list(sum(e * v for e, v in zip(exponents, values, strict=True)) / sum(exponents))
        told = norm(asking + w["out"] @ np.array(heard))
        hidden = [x * 0.5 * (1 + math.erf(x / math.sqrt(2))) for x in w["hidden"] @ told + w["hidden_bias"]]
        found.append(w["decision"] @ np.array(hidden) + w["decision_bias"])
    return np.array(found)


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 1000))
def test_logits_are_the_restated_ones(count: int, text: int, seed: int) -> None:
    layer = fake_layer(count, seed=seed, text=text)
    visual, words = layer.state[layer.visual], layer.state[layer.text]
    found = decide(module(seed), visual, words)
    np.testing.assert_allclose(found.numpy(), restated(module(seed), visual, words), atol=1e-4, rtol=1e-4)


def test_padding_is_not_heard() -> None:
    layer = fake_layer(6, text=5)
    visual, words = layer.state[layer.visual], layer.state[layer.text]
    real = torch.tensor([True, True, True, False, False])
    torch.testing.assert_close(decide(module(), visual, words, real), decide(module(), visual, words[:3]))


def test_a_batch_is_decided_row_by_row() -> None:
    rng = torch.Generator().manual_seed(0)
    visual, words = torch.randn(3, 7, WIDTH, generator=rng), torch.randn(3, 4, WIDTH, generator=rng)
    together = decide(module(), visual, words)
    for row in range(3):
        torch.testing.assert_close(together[row], decide(module(), visual[row], words[row]))


@settings(deadline=None)
@given(st.integers(2, 30), st.floats(0.01, 0.9), st.integers(0, 100), st.sampled_from([0, 1, 2]))
def test_a_stage_keeps_what_it_is_surest_of(count: int, keep: float, seed: int, stage: int) -> None:
    layer = with_modules(fake_layer(count, seed=seed))
    kept = lvpruning(keep=(keep,) * 3).narrow((1, 8, 16)[stage], layer, generator(0))
    logits = restated(module(stage), layer.state[layer.visual], layer.state[layer.text])
    surest = sorted(range(count), key=lambda i: (-round(logits[i][1] - logits[i][0], 4), i))
    if kept is None:
        assert keep * count > count - 0.5 - 1e-6, "rounds to all of them"
    else:
        assert kept.index.tolist() == sorted(surest[: kept.count])


@settings(deadline=None)
@given(st.integers(1, 60), st.sampled_from([4, 5, 32]))
def test_the_budget_is_what_is_left(count: int, depth: int) -> None:
    method, left, found = lvpruning(), count, []
    for number in range(depth):
        layer = with_modules(fake_layer(left, start=count, depth=depth, heads=1))
        kept = method.narrow(number, layer, generator(0))
        left = left if kept is None else kept.count
        found.append(left)
    assert tuple(found) == method.budget(count, depth)


def test_keeping_everything_is_the_full_model() -> None:
    method = lvpruning(keep=(1.0, 1.0, 1.0))
    assert all(method.narrow(number, fake_layer(7), generator(0)) is None for number in range(32))


def test_a_file_without_a_stage_is_named() -> None:
    layer = with_modules(fake_layer(9), stages=2)
    with pytest.raises(PruneProofError, match=r"decisions\.safetensors has no tensor '2\.visual_norm'.*3 stages"):
        lvpruning().narrow(16, layer, generator(0))


def test_its_weights_are_said_in_advance() -> None:
    assert lvpruning().signals.weights == "decisions.safetensors"


@pytest.mark.parametrize("options", [{"weights": ""}, {"keep": (0.5,)}, {"layers": (8, 1, 16)}])
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"weights": "a", **options})


def test_weights_must_be_given() -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({})
