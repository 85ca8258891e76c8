"""HiPrune against a transcription of its code, edges of rows included."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.pruning._made_up import Picture, chosen, is_everything, picture, pictures, shares

from pruneproof.pruning import kept_count
from pruneproof.pruning.hiprune import Settings, build, crosses


def transcription(one: Picture, columns: int, k: int, alpha: float) -> list[int]:
    """`encode_images` for one crop, for budgets that hold all anchors and their neighbours."""
    shallow, deep = one.received_attention(8).tolist(), one.received_attention(-2).tolist()
    number = round(k * alpha / 5)
    anchors = sorted(range(one.count), key=lambda patch: -shallow[patch])[:number]
    near = {min(max(anchor + step, 0), one.count - 1) for anchor in anchors for step in (0, -1, 1, -columns, columns)}
    for patch in near:
        deep[patch] -= 1.0
    others = sorted(range(one.count), key=lambda patch: -deep[patch])[: k - len(near)]
    return sorted(near | set(others))


@given(
    rows=st.integers(1, 7),
    columns=st.integers(1, 7),
    seed=st.integers(0, 10_000),
    tied=st.booleans(),
    keep=shares,
    alpha=st.sampled_from([0.0, 0.1, 0.5]),
)
def test_it_is_the_official_code(rows: int, columns: int, seed: int, tied: bool, keep: float, alpha: float) -> None:
    one = picture(rows, columns, seed, tied)
    k = kept_count(keep, one.count)
    (kept,) = chosen(build(Settings(keep=keep, alpha=alpha)), one)
    if 5 * round(k * alpha / 5) <= k:
        assert kept.index.tolist() == transcription(one, columns, k, alpha)


@pytest.mark.parametrize("keep", ["llava15_192", "llava15_128", "llava15_64"])
def test_published_budgets_of_576(keep: str) -> None:
    one = picture(24, 24, 5)
    (kept,) = chosen(build(Settings.model_validate({"keep": keep})), one)
    assert kept.index.tolist() == transcription(one, 24, kept.count, 0.1)


def test_neighbours_by_hand() -> None:
    # 3 x 4 patches; those of corners are clamped, and the one after 3, which ends its row, is 4 all the same.
    found = crosses(picture(3, 4, 0).places)
    assert found[0].tolist() == [0, 0, 1, 0, 4]
    assert found[3].tolist() == [3, 2, 4, 0, 7]
    assert found[5].tolist() == [5, 4, 6, 1, 9]
    assert found[11].tolist() == [11, 10, 11, 7, 11]


def test_neighbours_stay_in_their_grid() -> None:
    found = crosses(picture(2, 3, 0, grids=2).places)
    assert bool((found[:6] < 6).all())
    assert bool((found[6:] >= 6).all())


def test_more_neighbours_than_tokens_are_cut_off_after_the_anchors() -> None:
    one = picture(5, 5, 3)
    (kept,) = chosen(build(Settings(keep=8 / 25, alpha=1.0)), one)
    # round(8 / 5) = 2 anchors with 10 places.
    anchors = one.received_attention(8).sort(descending=True).indices[:2].tolist()
    assert set(anchors) <= set(kept.index.tolist())
    assert set(kept.index.tolist()) <= set(crosses(one.places)[anchors].flatten().tolist())


@given(one=pictures)
def test_keeping_all_changes_nothing(one: Picture) -> None:
    assert is_everything(chosen(build(Settings(keep=1.0)), one), one)


def test_one_token_is_what_the_deep_layer_looks_at_most() -> None:
    one = picture(4, 4, 0)
    (kept,) = chosen(build(Settings(keep=0.01)), one)
    assert torch.equal(kept.index, one.received_attention(-2).argmax()[None])
