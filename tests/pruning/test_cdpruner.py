"""CDPruner against a transcription of its code, and its greedy choice against determinants."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pruning._made_up import Picture, Words, chosen, is_everything, picture, pictures, words

from pruneproof.pruning import kept_count
from pruneproof.pruning.cdpruner import Settings, build, determinantal, irrelevance


def transcription(one: Picture, text: np.ndarray, k: int) -> list[int]:
    """`encode_images` for one picture and one question of one part."""
    features = one.features.double().numpy()
    features = features / np.linalg.norm(features, axis=-1, keepdims=True)
    relevance = -(one.aligned(-2).double().numpy() @ text)
    relevance = (relevance - relevance.min() + 1e-6) / (relevance.max() - relevance.min())
    kernel = np.empty((one.count, one.count))
    for i in range(one.count):
        for j in range(one.count):
            kernel[i, j] = relevance[i] * (features[i] @ features[j]) * relevance[j]
    gains = np.diag(kernel).copy()
    rows: list[np.ndarray] = []
    chosen_tokens: list[int] = []
    for _ in range(k):
        best = int(np.argmax(gains))
        chosen_tokens.append(best)
        row = (kernel[best] - sum((old[best] * old for old in rows), np.zeros(one.count))) / np.sqrt(gains[best])
        rows.append(row)
        gains = gains - row**2
        gains[best] = -np.inf
    return sorted(chosen_tokens)


@settings(max_examples=60)
@given(rows=st.integers(1, 6), columns=st.integers(2, 6), seed=st.integers(0, 10_000), data=st.data())
def test_it_is_the_official_code(rows: int, columns: int, seed: int, data: st.DataObject) -> None:
    one, texts = picture(rows, columns, seed), words(seed)
    # Features have 12 dimensions, so no more than that many tokens have a volume.
    k = data.draw(st.integers(1, min(one.count, 9)))
    for kept, text in zip(chosen(build(Settings(keep=k / one.count)), one, texts), texts.in_clip, strict=True):
        assert kept.index.tolist() == transcription(one, text.double().numpy(), k)


@given(seed=st.integers(0, 10_000), k=st.integers(1, 4))
def test_each_choice_makes_the_determinant_as_large_as_it_can(seed: int, k: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    unit = torch.nn.functional.normalize(torch.randn(8, 12, generator=rng), dim=-1)
    quality = torch.rand(8, generator=rng) + 0.1
    kernel = (quality[:, None] * (unit @ unit.T) * quality).double()
    picked: list[int] = []
    for _ in range(k):
        rest = [token for token in range(8) if token not in picked]
        picked.append(max(rest, key=lambda token: float(torch.det(kernel[[*picked, token]][:, [*picked, token]]))))
    assert determinantal(unit @ unit.T, quality, k).tolist() == sorted(picked)


@given(one=pictures, seed=st.integers(0, 100), data=st.data())
def test_with_more_tokens_than_dimensions_or_equal_ones_all_are_different_and_none_is_lacking(
    one: Picture, seed: int, data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, one.count))
    for kept in chosen(build(Settings(keep=k / one.count)), one, words(seed)):
        assert kept.count == kept_count(k / one.count, one.count)
        assert bool((kept.index.diff() > 0).all())


def test_when_the_chosen_span_all_the_rest_go_by_relevance() -> None:
    similarity = torch.ones(4, 4)
    assert determinantal(similarity, torch.tensor([0.5, 1.0, 0.1, 0.7]), 3).tolist() == [0, 1, 3]


def test_irrelevance_by_hand() -> None:
    found = irrelevance(torch.tensor([0.3, 0.1, 0.2]))
    torch.testing.assert_close(found, torch.tensor([5e-6, 1.0 + 5e-6, 0.5 + 5e-6]), atol=1e-6, rtol=0.0)
    assert irrelevance(torch.full((3,), 0.2)).tolist() == [1.0, 1.0, 1.0]


def test_each_question_is_decided_as_if_it_were_alone() -> None:
    one, texts = picture(6, 6, 1), words(1)
    for number, kept in enumerate(chosen(build(Settings(keep=0.25)), one, texts)):
        (alone,) = chosen(build(Settings(keep=0.25)), one, texts.only(number))
        assert alone.key == kept.key


def test_its_door_is_an_option() -> None:
    assert build(Settings(keep=0.5)).door == "after_connector"
    assert build(Settings(keep=0.5, door="before_connector")).door == "before_connector"


@given(one=pictures)
def test_keeping_all_changes_nothing(one: Picture) -> None:
    assert is_everything(chosen(build(Settings(keep=1.0)), one, Words(torch.ones(1, 12), ("a",))), one)
