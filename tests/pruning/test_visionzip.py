"""VisionZip against a transcription of its code with loops, and worked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.pruning._made_up import Picture, chosen, is_everything, picture, pictures, shares

from pruneproof.pruning import kept_count
from pruneproof.pruning.visionzip import Settings, build


def transcription(one: Picture, dominant: int, contextual: int) -> np.ndarray:
    """`CLIPVisionTower_VisionZip.forward`: `dominant` counts CLS; [dominant + contextual, D] in the official order."""
    hidden = np.concatenate([one.cls.numpy(), one.features.numpy()])
    metric = np.concatenate([np.zeros((1, one.keys(-2).shape[-1])), one.keys(-2).numpy().mean(axis=0)])
    attention = one.cls_attention(-2).tolist()
    best = sorted(range(one.count), key=lambda patch: -attention[patch])[: dominant - 1]
    chosen_rows = {0} | {patch + 1 for patch in best}
    saved = [hidden[row] for row in range(len(hidden)) if row in chosen_rows]
    filtered = [row for row in range(len(hidden)) if row not in chosen_rows]
    step = max(1, len(filtered) // contextual)
    targets = list(range(0, len(filtered), step))[:contextual]
    groups: dict[int, list[np.ndarray]] = {target: [] for target in targets}
    for place, row in enumerate(filtered):
        if place in groups:
            continue
        cosines = [
            float(np.dot(metric[row], metric[filtered[target]]))
            / float(np.linalg.norm(metric[row]) * np.linalg.norm(metric[filtered[target]]))
            for target in targets
        ]
        groups[targets[int(np.argmax(cosines))]].append(hidden[row])
    for target in targets:
        merged = np.sum(groups[target], axis=0) / max(len(groups[target]), 1) if groups[target] else 0.0
        saved.append(hidden[filtered[target]] + merged)
    return np.stack(saved)


@given(one=pictures, keep=shares, contextual=st.sampled_from([5 / 32, 0.3, 0.75]))
def test_it_is_the_official_code(one: Picture, keep: float, contextual: float) -> None:
    left = kept_count(keep, one.count)
    merged = min(int(contextual * left + 0.5), left - 1)
    if left == one.count or merged == 0:
        return
    (kept,) = chosen(build(Settings(keep=keep, contextual=contextual)), one)
    assert kept.cls
    found = torch.cat([one.cls, kept.apply(one.features)]).numpy()
    np.testing.assert_allclose(found, transcription(one, left - merged, merged), atol=1e-5)


@pytest.mark.parametrize(("keep", "dominant", "merged"), [("192", 162, 30), ("128", 108, 20), ("64", 54, 10)])
def test_published_budgets(keep: str, dominant: int, merged: int) -> None:
    one = picture(24, 24, 0)
    (kept,) = chosen(build(Settings.model_validate({"keep": f"llava15_{keep}"})), one)
    assert kept.count + 1 == dominant + merged
    sums = kept.apply(torch.ones(576, 1))[:, 0]
    # A contextual token is its centre plus a mean.
    assert sums[: dominant - 1].tolist() == [1.0] * (dominant - 1)
    torch.testing.assert_close(sums[dominant - 1 :], torch.full((merged,), 2.0))


def test_by_hand() -> None:
    one = picture(1, 6, 0)
    keys = torch.tensor([[9.0, 9.0], [1.0, 0.0], [0.0, 1.0], [3.0, 1.0], [1.0, 5.0], [1.0, 4.0]])
    one = replace(one, of_cls={-2: torch.tensor([0.5, 0.1, 0.1, 0.1, 0.1, 0.1])}, by_head={-2: keys[None]})
    (kept,) = chosen(build(Settings(keep=4 / 6, contextual=0.5)), one)
    # CLS, patch 0, and of 1 to 5 every second, twice: centres 1 and 3; 2, 4 and 5 are closest to 3.
    assert kept.index.tolist() == [0, 1, 3]
    third = 1 / 3
    expected = torch.tensor([[1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0, 0, third, 1, third, third]])
    torch.testing.assert_close(kept.weights, expected)


def test_where_cls_cannot_go_on_one_more_patch_does() -> None:
    one = replace(picture(4, 4, 1), cls=torch.zeros(0, 12))
    (kept,) = chosen(build(Settings(keep=0.5, contextual=0.25)), one)
    assert kept.count == 8
    (kept,) = chosen(build(Settings(keep=0.01)), one)
    assert kept.index.tolist() == [int(one.cls_attention(-2).argmax())]


def test_one_token_is_cls() -> None:
    (kept,) = chosen(build(Settings(keep=0.01)), picture(4, 4, 1))
    assert (kept.count, kept.cls) == (0, True)


@given(one=pictures)
def test_keeping_all_changes_nothing(one: Picture) -> None:
    assert is_everything(chosen(build(Settings(keep=1.0)), one), one)
