"""What is read together changes no answer: compared with each question asked alone, in every family."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.backbones._asking import ask
from tests.backbones.language.test_histories import CASES, settings_of

from pruneproof import backbones
from pruneproof.backbones import Shown
from pruneproof.backbones.language.generation import _slots
from pruneproof.backbones.language.sharing import readings

WORDS = ("is", "there", "a", "red", "car", "above", "the", "boat", "in", "this", "picture", "what", "colour", "has")
LONGEST = 6


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 1)), min_size=1, max_size=30))
def test_questions_are_read_together_if_image_tokens_and_beginning_are_the_same(asked: list[tuple[int, ...]]) -> None:
    different = {pair: Shown(torch.zeros(1, 1), torch.zeros(1), (1, 1)) for pair in product(range(3), range(3))}
    found = readings([different[i, j] for i, j, _ in asked], [k for _, _, k in asked])
    assert sorted(i for one in found for i in one.asked) == list(range(len(asked)))
    assert len(found) == len(set(asked))
    for one in found:
        assert len({asked[i] for i in one.asked}) == 1
        image, tokens, _ = asked[one.asked[0]]
        assert one.shown is different[image, tokens]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30))
def test_slots_count_what_came_before_in_the_same_row(rows: list[int]) -> None:
    rows.sort()
    assert _slots(torch.tensor(rows)).tolist() == [rows[:i].count(row) for i, row in enumerate(rows)]


@pytest.mark.parametrize("case", CASES)
def test_pictures_with_different_numbers_of_questions_answer_as_if_each_were_asked_alone(
    case: str, tmp_path: Path, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    CASES[case][1](tmp_path / case)
    backbone: Any = backbones.load(settings_of(case), tmp_path, "cpu")
    backbone.model.double()  # in float32 the logits of these random models, up to 50, differ by up to 0.006
    first, second = backbone.encode(pictures[:2])
    shown = [(first, [0, 1, 2]), (second, [3, 4, 5]), (second, [0, 1, 2]), (first, [9, 10, 11]), (first, [2, 7, 15])]
    counts = [4, 1, 7, 2, 1]
    asked = [(pair, n) for pair, count in zip(shown, counts, strict=True) for n in range(count)]
    asked = [asked[i] for i in torch.randperm(len(asked), generator=torch.Generator().manual_seed(0))]
    questions = [" ".join(WORDS[n : 3 + 2 * n]) for _, n in asked]
    alone = [
        ask(backbone, [image], [question], torch.tensor([kept]), LONGEST)[0]
        for ((image, kept), _), question in zip(asked, questions, strict=True)
    ]
    assert len({reply.text for reply in alone}) > 3, "answers that are all alike would not tell them apart"
    for together in (16, 2):
        monkeypatch.setattr(backbone, "_rows", together)
        found = ask(
            backbone,
            [image for (image, _), _ in asked],
            questions,
            torch.tensor([kept for (_, kept), _ in asked]),
            LONGEST,
        )
        for one, other in zip(found, alone, strict=True):
            assert one.text == other.text
            assert one.yes_logit == pytest.approx(other.yes_logit, abs=1e-5, rel=1e-6)
            assert one.no_logit == pytest.approx(other.no_logit, abs=1e-5, rel=1e-6)
