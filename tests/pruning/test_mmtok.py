"""MMTok against its official code restated step by step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from pruneproof.pruning.mmtok import MmTok, Settings, cover, shares, visible_words
from pruneproof.seeds import generator


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """As much of `VisualTokens` as the method looks at."""

    features: Tensor
    tower_features: Tensor

    @property
    def count(self) -> int:
        return len(self.features)


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """As much of `Texts` as the method looks at."""

    embedded: dict[str, Tensor]

    @property
    def questions(self) -> tuple[str, ...]:
        return tuple(self.embedded)

    def embed(self, words: Sequence[str]) -> Tensor:
        return self.embedded[" ".join(words)]


def mmtok(keep: float = 0.25, **options: Any) -> MmTok:
    return MmTok(Settings(keep=keep, **options))


def picture(count: int, words: tuple[int, ...], seed: int = 0) -> tuple[Tokens, Words]:
    rng = torch.Generator().manual_seed(seed)

    def draw(rows: int, width: int) -> Tensor:
        return torch.randn(rows, width, generator=rng)

    embedded = {f"car {i}": draw(rows, 6) for i, rows in enumerate(words)}
    return Tokens(draw(count, 6), draw(count, 9)), Words(embedded)


def official(vision: Tensor, clip: Tensor, text: Tensor, k_max: int) -> list[int]:
    """Ironieser/MMTok `mm_coverage_selection` as MMTokCore calls it, with loops."""

    def rows(left: NDArray[np.float64], right: NDArray[np.float64], temperature: float) -> list[list[float]]:
        found = []
        for a in left:
            logits = [a @ b / max(np.linalg.norm(a), 1e-8) / max(np.linalg.norm(b), 1e-8) / temperature for b in right]
            exponents = [math.exp(logit - max(logits)) for logit in logits]
            found.append([exponent / sum(exponents) / len(left) for exponent in exponents])
        return found

    x, x_clip, z = (tensor.double().numpy() for tensor in (vision, clip, text))
    combined = rows(z, x, 0.02) + [[0.5 * value for value in row] for row in rows(x_clip, x_clip, 0.2)]
    best, selected = [0.0] * len(combined), []
    for _ in range(k_max):
        open_tokens = [token for token in range(len(x)) if token not in selected]
        delta = {
            token: round(sum(max(0.0, row[token] - had) for row, had in zip(combined, best, strict=True)), 7)
            for token in open_tokens
        }
        selected.append(max(open_tokens, key=lambda token: (delta[token], -token)))
        best = [max(had, row[selected[-1]]) for row, had in zip(combined, best, strict=True)]
    return sorted(selected)


@settings(deadline=None)
@given(st.integers(1, 14), st.integers(1, 5), st.integers(0, 1000), st.data())
def test_the_kept_tokens_are_the_official_ones(count: int, words: int, seed: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, count))
    tokens, texts = picture(count, (words,), seed)
    kept = mmtok(k / count).select(tokens, texts, generator(0))  # type: ignore[arg-type]
    assert kept[0].index.tolist() == official(
        tokens.features, tokens.tower_features, next(iter(texts.embedded.values())), k
    )


def test_each_question_is_decided_as_if_it_were_alone() -> None:
    tokens, texts = picture(30, (3, 1, 7))
    together = mmtok(0.1).select(tokens, texts, generator(0))  # type: ignore[arg-type]
    assert len({kept.key for kept in together}) > 1
    for kept, question in zip(together, texts.questions, strict=True):
        alone = mmtok(0.1).select(tokens, Words({question: texts.embedded[question]}), generator(0))  # type: ignore[arg-type]
        assert alone[0].key == kept.key


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("Is there a dog in the image?", ["there", "dog", "in", "image"]),
        ("What colour is the man's hat?", ["colour", "man", "s", "hat"]),
        ("How many cars?\nAnswer the question using a single word or phrase.", ["many", "cars"]),
        ("Who is it?", ["Who", "is", "it?"]),
        ("", []),
    ],
)
def test_words_that_name_nothing_visible_are_left_out(question: str, words: list[str]) -> None:
    assert visible_words(question) == words


def test_where_nothing_is_asked_the_picture_alone_is_covered() -> None:
    tokens, _ = picture(20, (3,))
    kept = mmtok(0.2).select(tokens, Words({"": torch.empty(0, 6)}), generator(0))  # type: ignore[arg-type]
    assert torch.equal(kept[0].index, cover(shares(tokens.tower_features, tokens.tower_features, 0.2), 4))


def test_coverage_by_hand() -> None:
    gain = torch.tensor([[0.5, 0.375, 0.0, 0.125], [0.0, 0.25, 0.375, 0.125]])
    # 0.625 by the second alone; after it, 0.125 more of either row: the first and the third tie.
    assert cover(gain, 1).tolist() == [1]
    assert cover(gain, 2).tolist() == [0, 1]
    assert cover(gain, 3).tolist() == [0, 1, 2]


def test_equal_tokens_are_taken_in_their_order() -> None:
    assert cover(torch.full((3, 5), 0.2), 3).tolist() == [0, 1, 2]


@settings(deadline=None)
@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 100))
def test_shares_add_up_to_one_whatever_the_length(rows: int, tokens: int, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    covered, given_tokens = torch.randn(rows, 4, generator=rng), torch.randn(tokens, 4, generator=rng)
    found = shares(covered, given_tokens, 0.2)
    torch.testing.assert_close(found.sum(), torch.tensor(1.0))
    torch.testing.assert_close(found, shares(covered * 7, given_tokens / 3, 0.2), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 9])
def test_keeping_everything_is_the_full_model(count: int) -> None:
    tokens, texts = picture(count, (3,))
    kept = mmtok(1.0).select(tokens, texts, generator(0))  # type: ignore[arg-type]
    assert kept[0].index.tolist() == list(range(count))
    assert mmtok(1.0).budget(count, 4) == (count,) * 4


@pytest.mark.parametrize("options", [{"keep": 0.0}, {"word_temperature": 0.0}, {"picture_weight": -0.1}, {"alpha": 1}])
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"keep": 0.5, **options})
