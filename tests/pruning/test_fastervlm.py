"""FasterVLM against a transcription of its code, and against ATP without a question."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from tests.pruning._made_up import Picture, chosen, is_everything, pictures, shares

from pruneproof.pruning import atp
from pruneproof.pruning.fastervlm import Settings, build


def transcription(attention: list[float], k: int) -> list[int]:
    """`feature_select` and `encode_images`: the k highest, as a mask over the raster; the first of equals."""
    kept: set[int] = set()
    for _ in range(k):
        best = -1
        for patch, value in enumerate(attention):
            if patch not in kept and (best < 0 or value > attention[best]):
                best = patch
        kept.add(best)
    mask = np.zeros(len(attention), dtype=bool)
    mask[list(kept)] = True
    return [int(patch) for patch in np.flatnonzero(mask)]


@given(one=pictures, keep=shares)
def test_it_is_the_official_selection(one: Picture, keep: float) -> None:
    (kept,) = chosen(build(Settings(keep=keep)), one)
    assert kept.index.tolist() == transcription(one.cls_attention(-2).tolist(), kept.count)
    assert kept.weights is None


@given(one=pictures, keep=shares)
def test_atp_without_a_question_at_layer_minus_2_is_the_same_index_for_index(one: Picture, keep: float) -> None:
    (kept,) = chosen(build(Settings(keep=keep)), one)
    (other,) = chosen(atp.build(atp.Settings(keep=keep, alpha=0.0, attention_layer=-2)), one)
    assert kept.index.tolist() == other.index.tolist()


@given(one=pictures)
def test_keeping_all_changes_nothing(one: Picture) -> None:
    assert is_everything(chosen(build(Settings(keep=1.0)), one), one)
