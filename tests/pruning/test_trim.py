"""TRIM against a transcription of its code."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.pruning._made_up import Picture, Words, chosen, is_everything, picture, pictures, shares, words

from pruneproof.pruning.trim import Settings, build


def transcription(one: Picture, text: np.ndarray, ratio: float | None) -> np.ndarray:
    """`token_reduction` after its projection, without the padding of batches: [K + 1, D]."""
    patches = one.projected(-2).double().numpy()
    similarity = -np.array([float(np.dot(patch, text)) for patch in patches])
    similarity = np.exp(similarity) / np.exp(similarity).sum()
    if ratio is None:
        values = similarity.astype(np.float32)
        low, high = np.percentile(values, 25), np.percentile(values, 75)
        ratio = len(np.where(values > high + 1.5 * (high - low))[0]) / len(values)
    number = int(one.count * ratio)
    best = sorted(range(one.count), key=lambda patch: -similarity[patch])[:number]
    features = one.features.double().numpy()
    kept = [features[patch] for patch in range(one.count) if patch in best]
    rest = [features[patch] for patch in range(one.count) if patch not in best]
    return np.stack([*kept, np.mean(rest, axis=0)])


@given(one=pictures, seed=st.integers(0, 100), keep=shares)
def test_it_is_the_official_code(one: Picture, seed: int, keep: float) -> None:
    texts = words(seed, tied=False)
    found = chosen(build(Settings(keep=keep)), one, texts)
    for kept, text in zip(found, texts.projected.double().numpy(), strict=True):
        if int(one.count * keep) < one.count:
            np.testing.assert_allclose(kept.apply(one.features).numpy(), transcription(one, text, keep), atol=1e-4)


@given(rows=st.integers(1, 7), seed=st.integers(0, 100))
def test_without_a_share_outliers_stay(rows: int, seed: int) -> None:
    one, texts = picture(rows, 7, seed), words(seed)
    method = build(Settings())
    assert method.budget(576, 2) is None
    for kept, text in zip(chosen(method, one, texts), texts.projected.double().numpy(), strict=True):
        np.testing.assert_allclose(kept.apply(one.features).numpy(), transcription(one, text, None), atol=1e-4)


def test_the_least_similar_patches_stay() -> None:
    patches = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.8, 0.6]])
    one = replace(picture(1, 4, 0), in_clip={-2: patches})
    (kept,) = chosen(build(Settings(keep=0.5)), one, Words(torch.tensor([[1.0, 0.0]]), ("a",)))
    assert kept.index.tolist() == [1, 2, -1]
    torch.testing.assert_close(kept.weights[-1], torch.tensor([0.5, 0.0, 0.0, 0.5]))


def test_scores_that_the_softmax_cannot_tell_apart_are_ranked_all_the_same() -> None:
    """In float32 a softmax is zero from about 104 below the highest on."""
    patches = torch.tensor([[300.0], [200.0], [400.0], [0.0]])
    one = replace(picture(1, 4, 0), in_clip={-2: patches})
    (kept,) = chosen(build(Settings(keep=0.5)), one, Words(torch.ones(1, 1), ("a",)))
    assert kept.index.tolist() == [1, 3, -1]


def test_each_question_is_decided_as_if_it_were_alone() -> None:
    one, texts = picture(6, 6, 1), words(1)
    together = chosen(build(Settings(keep=0.3)), one, texts)
    for number, kept in enumerate(together):
        (alone,) = chosen(build(Settings(keep=0.3)), one, texts.only(number))
        assert alone.key == kept.key


@pytest.mark.parametrize(("keep", "left"), [("llava15_192", 193), ("llava15_128", 129), ("llava15_64", 65), (1.0, 576)])
def test_a_share_is_cut_off_and_the_mean_comes_on_top(keep: str | float, left: int) -> None:
    assert build(Settings.model_validate({"keep": keep})).budget(576, 1) == (left,)


@given(one=pictures)
def test_keeping_all_changes_nothing(one: Picture) -> None:
    assert is_everything(chosen(build(Settings(keep=1.0)), one), one)
