"""Every method through the protocol: how many tokens, in which order, and what they may depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from pruneproof import registry
from pruneproof.pruning import kept_count, share, top_k
from pruneproof.pruning.protocol import Method
from pruneproof.seeds import generator


@dataclass
class Tokens:
    """Made-up visual tokens with two layers of attention."""

    layers: Tensor
    """[2, N] CLS attention, last layer first."""
    similarity: dict[str, Tensor]

    @property
    def count(self) -> int:
        return self.layers.shape[1]

    @property
    def features(self) -> Tensor:
        return torch.zeros(self.count, 4)

    def cls_attention(self, layer: int) -> Tensor:
        return self.layers[-layer - 1]

    def aligned(self, layer: int) -> Tensor:
        assert layer == -1
        return torch.stack(list(self.similarity.values()), dim=-1)


@dataclass
class Texts:
    """Questions whose cosines with the patches are the made-up similarities."""

    questions: tuple[str, ...]

    @property
    def in_clip(self) -> Tensor:
        return torch.eye(len(QUESTIONS))[[QUESTIONS.index(question) for question in self.questions]]


QUESTIONS = ("is there a car?", "is there a dog?", "how many boats?")


def select(method: Any, shown: Tokens, questions: Sequence[str], rng: np.random.Generator) -> Tensor:
    """[Q, K] or [1, K] indices."""
    return torch.stack([kept.index for kept in method.select(shown, Texts(tuple(questions)), rng)])


def tokens(count: int = 256, seed: int = 0) -> Tokens:
    rng = torch.Generator().manual_seed(seed)
    attention = torch.rand(2, count, generator=rng).pow(4).softmax(-1)
    return Tokens(attention, {q: torch.rand(count, generator=rng) * 0.1 + 0.15 for q in QUESTIONS})


def build(name: str, **options: Any) -> Method:
    module = registry.load_module("pruneproof.pruning", name, "pruning method")
    method: Method = module.build(module.Settings.model_validate(options))
    return method


METHODS = {
    "full": build("full"),
    "random": build("random", keep=0.25),
    "atp": build("atp", keep=0.25),
    "atp_attention": build("atp", keep=0.25, alpha=0.0),
    "atp_relevance": build("atp", keep=0.25, alpha=1.0),
}


def test_the_methods_of_the_study_are_found() -> None:
    assert {"full", "random", "atp"} <= set(registry.module_names("pruneproof.pruning"))


@pytest.mark.parametrize("name", METHODS)
def test_a_selection_is_ascending_unique_and_as_large_as_announced(name: str) -> None:
    method = METHODS[name]
    kept = select(method, tokens(), QUESTIONS, generator(0))
    assert kept.dtype == torch.int64
    assert kept.shape == (3 if method.per_question else 1, 256 if name == "full" else 64)
    assert method.budget(256, 2) == (kept.shape[1],) * 2
    assert bool((kept.diff(dim=-1) > 0).all())
    assert int(kept.min()) >= 0
    assert int(kept.max()) < 256


@pytest.mark.parametrize("name", METHODS)
def test_each_question_is_decided_as_if_it_were_alone(name: str) -> None:
    method = METHODS[name]
    together = select(method, tokens(), QUESTIONS, generator(1)).expand(3, -1)
    for row, question in zip(together, QUESTIONS, strict=True):
        assert torch.equal(select(method, tokens(), [question], generator(1))[0], row)


@pytest.mark.parametrize("name", ["random", "atp", "atp_attention", "atp_relevance"])
def test_keeping_everything_is_the_full_model(name: str) -> None:
    options = {"random": {}, "atp": {}, "atp_attention": {"alpha": 0.0}, "atp_relevance": {"alpha": 1.0}}[name]
    kept = select(build(name.split("_")[0], keep=1.0, **options), tokens(), QUESTIONS, generator(0))
    assert bool((kept == torch.arange(256)).all())


@pytest.mark.parametrize(
    ("keep", "count", "expected"), [(0.6, 256, 154), (0.25, 256, 64), (0.1, 256, 26), (0.001, 256, 1)]
)
def test_kept_count_by_hand(keep: float, count: int, expected: int) -> None:
    assert kept_count(keep, count) == expected


@given(st.floats(0.001, 1.0), st.integers(1, 3000))
def test_kept_count_is_within_half_a_token(keep: float, count: int) -> None:
    kept = kept_count(keep, count)
    assert 1 <= kept <= count
    assert kept == 1 or abs(kept - keep * count) <= 0.5


def test_a_method_is_named_by_the_share_that_is_left_at_the_end() -> None:
    assert share(METHODS["full"]) is None
    assert share(build("atp", keep=0.6)) == 0.6
    assert share(build("fastv", keep=0.5, layer=2)) == 0.5
    assert share(build("tome", keep=0.1)) == 0.1


def test_ties_go_to_the_first() -> None:
    scores = torch.tensor([[1.0, 2.0, 1.0, 2.0, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    assert top_k(scores, 3).tolist() == [[0, 1, 3], [0, 1, 2]]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.data())
def test_top_k_keeps_the_best(values: list[int], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(values)))
    kept = top_k(torch.tensor(values, dtype=torch.float32), k).tolist()
    expected = sorted(sorted(range(len(values)), key=lambda i: (-values[i], i))[:k])
    assert kept == expected


def test_random_depends_on_its_stream_alone() -> None:
    method = METHODS["random"]
    first = select(method, tokens(seed=1), QUESTIONS, generator(7, "a"))
    assert torch.equal(first, select(method, tokens(seed=2), QUESTIONS[:1], generator(7, "a")))
    assert not torch.equal(first, select(method, tokens(seed=1), QUESTIONS, generator(7, "b")))


def test_random_keeps_every_patch_equally_often() -> None:
    rounds, method = 2000, build("random", keep=0.25)
    counts = np.zeros(16)
    for i in range(rounds):
        counts[select(method, tokens(16), QUESTIONS, generator(i))[0].numpy()] += 1
    # Four standard deviations of a share of 0.25 in 2,000 draws.
    assert np.abs(counts / rounds - 0.25).max() < 4 * (0.25 * 0.75 / rounds) ** 0.5


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("random", {"keep": 0.0}),
        ("random", {"keep": 1.4}),
        ("random", {}),
        ("full", {"keep": 0.5}),
        ("atp", {"keep": 0.5, "alpha": 1.1}),
        ("atp", {"keep": 0.5, "attention_layer": 0}),
        ("atp", {"keep": 0.5, "relevance_sign": 0}),
        ("atp", {"keep": 0.5, "normalisation": "min-max"}),
        ("atp", {"keep": 0.5, "aplha": 0.5}),
    ],
)
def test_options_out_of_range_are_refused(method: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        build(method, **options)
