"""SCOPE against a transcription of its greedy loop, and against trying all patches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pruning._made_up import Picture, chosen, is_everything, picture, pictures, shares

from pruneproof.pruning import kept_count
from pruneproof.pruning.scope import Settings, build


def transcription(one: Picture, k: int, alpha: float, heads: int = 16) -> list[int]:
    """`SCOPE` with `COMBINED=multi`; attention is summed over heads there."""
    features = one.features.double().numpy()
    features = features / np.linalg.norm(features, axis=-1, keepdims=True)
    cosine = features @ features.T
    weights = (one.cls_attention(-2).double().numpy() * heads) ** alpha
    selected: list[int] = []
    covered = np.zeros(one.count)
    for _ in range(k):
        best, highest = -1, -np.inf
        for patch in range(one.count):
            if patch in selected:
                continue
            gain = sum(max(0.0, cosine[other, patch] - covered[other]) for other in range(one.count)) * weights[patch]
            if gain > highest:
                best, highest = patch, gain
        selected.append(best)
        covered = np.maximum(covered, cosine[best])
    return sorted(selected)


@settings(max_examples=40)
@given(
    rows=st.integers(1, 5),
    columns=st.integers(1, 5),
    seed=st.integers(0, 10_000),
    tied=st.booleans(),
    keep=shares,
    alpha=st.sampled_from([0.0, 1.0, 2.0]),
)
def test_it_is_the_official_loop(rows: int, columns: int, seed: int, tied: bool, keep: float, alpha: float) -> None:
    one = picture(rows, columns, seed, tied)
    if not tied:
        # Two patches cover each other equally, but for rounding, unless attention tells them apart.
        alpha = alpha or 1.0
    (kept,) = chosen(build(Settings(keep=keep, alpha=alpha)), one)
    assert kept.index.tolist() == transcription(one, kept_count(keep, one.count), alpha)


def test_the_first_patch_covers_most_for_its_attention() -> None:
    one = picture(6, 6, 1)
    (kept,) = chosen(build(Settings(keep=0.01)), one)
    unit = one.features / one.features.norm(dim=-1, keepdim=True)
    scores = (unit @ unit.T).clamp(min=0).sum(dim=0) * one.cls_attention(-2)
    assert kept.index.tolist() == [int(scores.argmax())]


@given(one=pictures)
def test_keeping_all_changes_nothing(one: Picture) -> None:
    assert is_everything(chosen(build(Settings(keep=1.0)), one), one)


@pytest.mark.parametrize("layer", [-1, -2])
def test_its_layer_is_an_option(layer: int) -> None:
    assert build(Settings(keep=0.5, layer=layer)).signals.cls_attention == (layer,)
