"""VisPruner against a transcription of its loop, and against FasterVLM."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pruning._made_up import Picture, chosen, is_everything, picture, pictures, shares

from pruneproof.pruning import fastervlm, kept_count
from pruneproof.pruning.vispruner import Settings, build


def transcription(one: Picture, k: int, important: float) -> list[int]:
    """`encode_images`, with a longer first half where a list is odd, and no round that drops more than that."""
    attention = one.cls_attention(-2).tolist()
    features = one.features.double().numpy()
    features = features / np.linalg.norm(features, axis=-1, keepdims=True)
    order = sorted(range(one.count), key=lambda patch: -attention[patch])
    number = int(k * important)
    first, left, diverse = order[:number], order[number:], k - int(k * important)
    if diverse == 0:
        return sorted(first)
    while True:
        evens, odds = left[::2], left[1::2]
        gone = min(8, len(left) - diverse, len(evens))
        if gone <= 0:
            break
        nearest = [max(float(features[even] @ features[odd]) for odd in odds) for even in evens]
        places = sorted(range(len(evens)), key=lambda place: -nearest[place])[gone:]
        left = [evens[place] for place in places] + odds
    return sorted(first + left)


@given(one=pictures, keep=shares, important=st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]))
def test_it_is_the_official_loop(one: Picture, keep: float, important: float) -> None:
    (kept,) = chosen(build(Settings(keep=keep, important=important)), one)
    assert kept.index.tolist() == transcription(one, kept_count(keep, one.count), important)


@pytest.mark.parametrize("keep", ["llava15_192", "llava15_128", "llava15_64"])
def test_published_shares(keep: str) -> None:
    one = picture(12, 12, 5)
    (kept,) = chosen(build(Settings.model_validate({"keep": keep})), one)
    assert kept.index.tolist() == transcription(one, kept.count, 0.5)


@given(one=pictures, keep=shares)
def test_attention_alone_is_fastervlm(one: Picture, keep: float) -> None:
    (kept,) = chosen(build(Settings(keep=keep, important=1.0)), one)
    (other,) = chosen(fastervlm.build(fastervlm.Settings(keep=keep)), one)
    assert kept.index.tolist() == other.index.tolist()


@given(one=pictures)
def test_keeping_all_changes_nothing(one: Picture) -> None:
    assert is_everything(chosen(build(Settings(keep=1.0)), one), one)
