from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pruneproof.errors import PruneProofError
from pruneproof.planning.cheapest import fitting
from pruneproof.planning.estimate import Planned
from pruneproof.planning.machines import Speeds
from pruneproof.planning.memory import Memory, memory_of
from pruneproof.planning.prompts import Prompts
from pruneproof.planning.shapes import Shape, shape_of
from pruneproof.planning.work import BackboneWork
from pruneproof.settings import BackboneSettings

PROMPTS = Prompts(before=40, question=23.0, caption=10.0, turn=20.0, steps=1.0, caption_steps=20.0)


def shape(**others: Any) -> Shape:
    named = {
        "family": "llava",
        "checkpoint": "llava-hf/llava-1.5-7b-hf",
        "dtype": "float16",
        "text_tower": "ViT-L-14-336",
    }
    return shape_of(BackboneSettings.model_validate(named | others), Path())


def test_a_device_holds_weights_keys_values_and_what_is_between_layers() -> None:
    held = memory_of(shape(), PROMPTS, rows=2)
    # 7.06 billion weights of 2 bytes; 2 x 32 layers x 4096 x 2 bytes at each of 40 + 576 + 30 places of two prompts
    assert held.weights == 14_126_854_144
    assert held.cache == 2 * 524_288 * 646
    # Four times the wider of two prompts of 646 in a feed-forward of 11,008, and ten pictures of 577 in one of 4,096
    assert held.buffers == 4 * 2 * max(2 * 646 * 11_008, 10 * 577 * 4_096)
    # CLIP's text half: 12 layers of 12 x 768^2 and 49,408 words
    assert held.texts == 4 * (12 * 12 * 768**2 + 49_408 * 768)
    assert held.total == held.weights + held.texts + held.cache + held.buffers + 3 * 2**29


def test_eight_bits_halve_the_language_model() -> None:
    spared = memory_of(shape(), PROMPTS, 2).weights - memory_of(shape(language_weights="int8"), PROMPTS, 2).weights
    assert spared == pytest.approx(6.6e9, rel=0.01)  # a byte of each of the layers' weights and the head's


def test_processes_share_the_weights_alone() -> None:
    held = Memory(1e9, 0.0, 2e9, 3e9, processes=2)
    assert held.total == 1e9 + 2 * 5e9 + 3 * 2**29


def test_an_unknown_checkpoint_says_what_to_fetch() -> None:
    with pytest.raises(PruneProofError, match=r"hf download owner/name --include"):
        shape(checkpoint="owner/name")


@pytest.mark.parametrize(
    ("memory", "dtype", "said"),
    [
        (Memory(10e9, 0, 1e9, 1e9, 1), "float32", ""),
        (Memory(30e9, 0, 1e9, 1e9, 1), "float32", "it does not fit: set `dtype: bfloat16`"),
        (Memory(30e9, 0, 1e9, 1e9, 1), "float16", "it does not fit: take a machine with more memory"),
        (Memory(10e9, 0, 20e9, 1e9, 1), "float16", "it does not fit: lower PRUNEPROOF_BATCH"),
        (Memory(10e9, 0, 20e9, 1e9, 16), "float16", "it does not fit: lower PRUNEPROOF_BATCH and PRUNEPROOF_WORKERS"),
    ],
)
def test_what_does_not_fit_says_what_to_change(memory: Memory, dtype: str, said: str) -> None:
    speeds = Speeds(1, 1, 1, 1, 1, 1, 1, 1)
    planned = Planned(shape(dtype=dtype), PROMPTS, BackboneWork({}, {}, 0, 0), speeds, memory)
    found = fitting(planned, 24e9)
    assert found.startswith(said) if said else found == ""
