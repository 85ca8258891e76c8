"""ATP adapted to towers without CLS, against its formula restated with loops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.pruning._made_up import Picture, picture, pictures, shares
from torch import Tensor

from pruneproof.pruning import kept_count
from pruneproof.pruning.atp_received import AtpReceived, Settings, build, relevance
from pruneproof.pruning.protocol import Kept
from pruneproof.seeds import generator

QUESTIONS = ("is there a car?", "what colour are the two boats?", "")


@dataclass(frozen=True, slots=True)
class Words:
    """As much of `Texts` as the method looks at: a word's embedding depends on its letters alone."""

    questions: tuple[str, ...] = QUESTIONS

    def embed(self, words: Sequence[str]) -> Tensor:
        rows = [torch.randn(12, generator=torch.Generator().manual_seed(sum(map(ord, word)))) for word in words]
        return torch.stack(rows)


def atp(keep: float = 0.25, **options: Any) -> AtpReceived:
    return build(Settings.model_validate({"keep": keep, **options}))


def chosen(method: AtpReceived, one: Picture, questions: tuple[str, ...] = QUESTIONS) -> list[Kept]:
    return method.select(one, Words(questions), generator(0))  # type: ignore[arg-type]


SEEN = {QUESTIONS[0]: ["there", "car"], QUESTIONS[1]: ["colour", "two", "boats"], QUESTIONS[2]: []}
"""The words of each question that name something visible."""


def restated(one: Picture, question: str, alpha: float, pooling: str, sign: int) -> list[float]:
    """S of every token, with loops over tokens and words."""

    def cosine(a: list[float], b: list[float]) -> float:
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        return dot / max(math.sqrt(sum(x * x for x in a)), 1e-12) / max(math.sqrt(sum(y * y for y in b)), 1e-12)

    def spread(values: list[float]) -> list[float]:
        low, high = min(values), max(values)
        return [(value - low) / max(high - low, 1e-12) for value in values]

    words = Words().embed(SEEN[question]).double().tolist() if SEEN[question] else []
    inter = []
    for token in one.features.double().tolist():
        cosines = [cosine(token, word) for word in words]
        pooled = (sum(cosines) / len(cosines) if pooling == "mean" else max(cosines)) if cosines else 0.0
        inter.append(sign * pooled)
    intra = one.received_attention(-1).double().tolist()
    both = zip(spread(inter), spread(intra), strict=True)
    return [alpha * s + (1 - alpha) * a for s, a in both]


@given(
    one=pictures,
    keep=shares,
    alpha=st.sampled_from([0.1, 0.5, 1.0]),
    pooling=st.sampled_from(["mean", "max"]),
    sign=st.sampled_from([1, -1]),
)
def test_it_is_the_formula(one: Picture, keep: float, alpha: float, pooling: str, sign: int) -> None:
    method = atp(keep, alpha=alpha, words=pooling, relevance_sign=sign)
    for kept, question in zip(chosen(method, one), QUESTIONS, strict=True):
        assert kept.count == kept_count(keep, one.count)
        assert kept.weights is None
        assert bool((kept.index.diff() > 0).all())
        scores = restated(one, question, alpha, pooling, sign)
        own = set(kept.index.tolist())
        dropped = [score for token, score in enumerate(scores) if token not in own]
        # In another arithmetic a tie may fall either way, but nothing better is ever dropped.
        assert min(scores[token] for token in own) >= max(dropped, default=-1.0) - 1e-5


@given(one=pictures, keep=shares)
def test_with_alpha_0_the_most_attended_tokens_stay_whatever_is_asked(one: Picture, keep: float) -> None:
    method = atp(keep, alpha=0.0)
    assert (method.per_question, method.kind) == (False, "attention")
    (kept,) = chosen(method, one)
    attention = one.received_attention(-1).tolist()
    order = sorted(range(one.count), key=lambda token: (-attention[token], token))
    assert kept.index.tolist() == sorted(order[: kept_count(keep, one.count)])


def test_by_hand() -> None:
    """Four tokens along the axes, two words: `car` lies along the first, `boat` along the second."""
    tokens, words = torch.eye(4)[:, :3], torch.tensor([[5.0, 0.0, 0.0], [0.0, 0.1, 0.0]])
    tokens[3] = torch.tensor([1.0, 1.0, 0.0])
    root = 0.5**0.5
    torch.testing.assert_close(relevance(tokens, words, "mean"), torch.tensor([0.5, 0.5, 0.0, root]))
    torch.testing.assert_close(relevance(tokens, words, "max"), torch.tensor([1.0, 1.0, 0.0, root]))
    assert relevance(tokens, words[:0], "max").tolist() == [0.0] * 4


def test_a_layer_that_is_named_is_the_one_that_is_looked_at() -> None:
    one = picture(4, 4, 3)
    method = atp(0.25, alpha=0.0, attention_layer=-2)
    assert method.signals.received_attention == (-2,)
    assert method.signals.of_patches
    (kept,) = chosen(method, replace(one, of_all={-2: one.of_all[-2]}))
    assert not torch.equal(kept.index, chosen(atp(0.25, alpha=0.0), one)[0].index)


def test_each_question_is_decided_as_if_it_were_alone() -> None:
    one = picture(6, 6, 1)
    together = chosen(atp(0.3, alpha=0.9), one)
    assert len({kept.key for kept in together}) == 3
    for kept, question in zip(together, QUESTIONS, strict=True):
        assert chosen(atp(0.3, alpha=0.9), one, (question,))[0].key == kept.key


@given(one=pictures)
def test_keeping_all_changes_nothing(one: Picture) -> None:
    for kept in chosen(atp(1.0), one):
        assert kept.index.tolist() == list(range(one.count))


@pytest.mark.parametrize(
    "options", [{"keep": 0.0}, {"alpha": 1.1}, {"attention_layer": 0}, {"words": "sum"}, {"relevance_sign": 0}]
)
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"keep": 0.5, **options})
