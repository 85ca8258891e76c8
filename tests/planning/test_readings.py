"""The arithmetic of reading and decoding, worked by hand for a language model of round numbers."""

from __future__ import annotations

from typing import Any

import pytest

from pruneproof.planning.languages import Language
from pruneproof.planning.readings import Pool, alone, narrowed, shared


def run(new: Any, cached: Any) -> int:
    """25 a token in each of 4 layers."""
    return 25 * (4 * new if isinstance(new, int) else sum(new))


MODEL = Language(
    layers=4, calls=4, cached=8, run=run, skipped=lambda seen: 10, head=7, visual=None
)  # 53.5 weights: (100 + 7) / 2
POOL = Pool(pictures=2, questions=6, before=1, after=5, steps=1)


def test_questions_on_one_picture_share_its_reading() -> None:
    read = shared(MODEL, POOL, kept=10, rows=16, number=4)
    # A picture: 11 tokens, 10 of which skip the last layer; 3 questions of 5, 12 tokens of which skip it; 3 logits.
    assert read.prefill.flops == 2 * (1100 - 100 + 1500 - 120 + 21)
    assert read.prefill.layers == 2 * 4
    assert read.prefill.bytes == 2 * 53.5 * 4
    # One step for both pictures: 3 tokens and logits each; 26 cached positions of 8 numbers pass three times.
    assert read.decode.flops == 2 * (300 + 21)
    assert read.decode.layers == 4
    assert read.decode.bytes == 53.5 * 4 + 2 * 3 * 8 * 26 * 4


def test_prompts_of_their_own_are_read_whole() -> None:
    read = alone(MODEL, POOL, kept=10, rows=4, number=4)
    assert read.prefill.flops == 6 * (1600 - 150 + 7)
    assert read.prefill.layers == 2 * 4  # six rows in two forwards
    assert read.decode.flops == 6 * 107
    assert read.decode.bytes == 2 * 53.5 * 4 + 6 * 3 * 8 * 16 * 4


def test_prompts_are_alike_until_a_token_is_dropped() -> None:
    read = narrowed(MODEL, POOL, (10, 10, 4, 4), rows=16, number=4)
    # Two layers read 11 tokens of each picture once, and 5 of each question; two read 10 of each, 9 skip the last.
    assert read.prefill.flops == 2 * 550 + 6 * (250 + 500 + 7 - 90)
    assert read.prefill.layers == 4 + 2
    assert read.decode.flops == 6 * 107


def test_nothing_asked_takes_nothing() -> None:
    nothing = Pool(pictures=2, questions=0, before=1, after=5, steps=1)
    for read in (
        shared(MODEL, nothing, 10, 16, 4),
        alone(MODEL, nothing, 10, 16, 4),
        narrowed(MODEL, nothing, (1,), 1, 4),
    ):
        assert read.prefill.flops == read.decode.flops == 0


def test_a_single_question_is_read_alone() -> None:
    one = Pool(pictures=6, questions=6, before=1, after=5, steps=1)
    assert shared(MODEL, one, 10, 16, 4) == alone(MODEL, one, 10, 16, 4)


def test_an_encoder_reads_every_prompt_whole() -> None:
    model = Language(4, 4, 8, run, lambda seen: 0, 7, visual=32, both_ways=True)
    read = shared(model, POOL, kept=10, rows=16, number=4)
    assert read.prefill.flops == 6 * (100 * (1 + 32 + 5) + 7)
    assert read.prefill.layers == 2 * 4  # picture by picture


@pytest.mark.parametrize(("pictures", "batches"), [(1, 1), (10, 1), (11, 2), (0, 0)])
def test_ten_pictures_are_a_batch(pictures: int, batches: int) -> None:
    assert Pool(pictures, pictures, 1, 5, 1).batches == batches
