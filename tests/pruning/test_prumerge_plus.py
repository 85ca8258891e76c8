"""PruMerge+ against a transcription of its double loop, and worked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.pruning._made_up import Picture, chosen, is_everything, picture, pictures, shares

from pruneproof.pruning.prumerge_plus import Settings, build, halves


def sample(attention: np.ndarray) -> list[int]:
    """The adaptive branch of `token_prune_merge_advanced_plus` before it merges; where none is an outlier, one is."""
    low, high = np.percentile(attention, 25), np.percentile(attention, 75)
    outliers = np.where(attention > high + 1.5 * (high - low))[0]
    ratio = max(len(outliers), 1) / len(attention)
    index = sorted(range(len(attention)), key=lambda patch: -attention[patch])[: int(len(attention) * ratio)]
    step = int(1 / ratio)
    return index + [x for x in range(0, len(attention) - 1, max(int(step / 3), 1)) if x not in index]


def merged(one: Picture, index: list[int], neighbours: int) -> np.ndarray:
    """The rest of it: one token after the other, then the extra one."""
    attention = one.joined_attention(-1).double().numpy()
    features = one.features.double().numpy()
    keys = np.concatenate([one.keys(-1)[head].double().numpy() for head in range(len(one.keys(-1)))], axis=-1)
    keys = keys / np.linalg.norm(keys, axis=-1, keepdims=True)
    found = []
    for patch in index:
        others = [other for other in range(one.count) if other != patch]
        others.sort(key=lambda other: -float(keys[patch] @ keys[other]))
        total = features[patch].copy()
        for other in others[:neighbours]:
            total += attention[other] * features[other]
        found.append(total)
    extra = np.zeros_like(features[0])
    for patch in range(one.count):
        if patch not in index:
            extra += attention[patch] * features[patch]
    return np.stack([*found, extra])


@given(one=pictures, neighbours=st.sampled_from([1, 4, 32]))
def test_it_is_the_official_code(one: Picture, neighbours: int) -> None:
    method = build(Settings(neighbours=neighbours))
    assert method.budget(576, 2) is None
    (kept,) = chosen(method, one)
    index = sample(one.joined_attention(-1).numpy())
    assert kept.index.tolist() == [*index, -1]
    np.testing.assert_allclose(kept.apply(one.features).numpy(), merged(one, index, neighbours), atol=1e-4)


@given(one=pictures, keep=shares)
def test_a_fixed_budget_merges_alike(one: Picture, keep: float) -> None:
    (kept,) = chosen(build(Settings(keep=keep)), one)
    if kept.count == one.count:
        return
    assert kept.index[-1] == -1
    index = kept.index[:-1].tolist()
    np.testing.assert_allclose(kept.apply(one.features).numpy(), merged(one, index, 32), atol=1e-4)


def test_half_by_attention_and_half_evenly_spaced_by_hand() -> None:
    attention = torch.tensor([0.1, 0.2, 0.1, 0.1, 0.3, 0.1, 0.1, 0.1, 0.1, 0.1])
    # Highest: 4, 1. The others are 0, 2, 3, 5, 6, 7, 8, 9; the middles of their halves are the third and seventh.
    assert halves(attention, 4).tolist() == [4, 1, 3, 8]
    assert halves(attention, 1).tolist() == [4]
    assert halves(attention, 0).tolist() == []


@given(one=pictures, data=st.data())
def test_halves_are_distinct_and_as_many_as_asked_for(one: Picture, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, one.count))
    found = halves(one.joined_attention(-1), k).tolist()
    assert len(set(found)) == len(found) == k


def test_one_token_is_the_attention_weighted_sum_of_all() -> None:
    one = picture(4, 4, 2)
    (kept,) = chosen(build(Settings(keep=0.01)), one)
    assert kept.index.tolist() == [-1]
    torch.testing.assert_close(kept.apply(one.features)[0], one.joined_attention(-1) @ one.features)


def test_a_picture_without_outliers_has_a_token_all_the_same() -> None:
    one = replace(picture(4, 4, 2), of_cls={-1: torch.full((16,), 1 / 17)})
    (kept,) = chosen(build(Settings()), one)
    # One of 16: steps of int(16 / 3) = 5.
    assert kept.index.tolist() == [0, 5, 10, -1]


@pytest.mark.parametrize(("keep", "left"), [("llava15_192", 192), ("llava15_128", 128), ("llava15_64", 64)])
def test_published_budgets(keep: str, left: int) -> None:
    (kept,) = chosen(build(Settings.model_validate({"keep": keep})), picture(24, 24, 0))
    assert kept.count == left


@given(one=pictures)
def test_keeping_all_changes_nothing(one: Picture) -> None:
    assert is_everything(chosen(build(Settings(keep=1.0)), one), one)
