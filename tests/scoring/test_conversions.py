"""What is done to answers before they are scored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.scoring.conversions import CONVERSIONS, llava_gqa, llava_vqa, yes_or_no
from pruneproof.scoring.scorers import Truth, vqa


@pytest.mark.parametrize(
    ("text", "converted"),
    [
        ("Yes", "yes"),
        ("Yes.", "yes"),
        ("1,000 sheep/goats", "1000 sheep goats"),  # the comma is gone before it could matter
        ("The man's hat", "man 's hat"),
        ("Two, or three?", "2 or 3"),
        ("don't", "don't"),
        ("", ""),
    ],
)
def test_llava_vqa(text: str, converted: str) -> None:
    assert llava_vqa(text) == converted


@pytest.mark.parametrize(
    ("text", "converted"),
    [("No.", "No"), ("YES!", "Yes"), ("It is not.", "It is not."), ("Yes and no", "Yes and no"), ("Nobody", "Nobody")],
)
def test_yes_or_no(text: str, converted: str) -> None:
    assert yes_or_no(text) == converted


@pytest.mark.parametrize(("text", "converted"), [("Red.", "red"), ("a...", "a"), ("U.S.", "u.s"), ("Red. ", "red. ")])
def test_llava_gqa(text: str, converted: str) -> None:
    assert llava_gqa(text) == converted


def test_a_converted_answer_finds_the_ten_that_agree() -> None:
    truth = Truth(("yes",) * 10)
    assert vqa.mark(vqa.read("Yes", truth).prediction, truth) == 0
    assert vqa.mark(vqa.read(CONVERSIONS["llava_vqa"]("Yes"), truth).prediction, truth) == 1


@given(st.text())
def test_conversions_give_lower_case_or_the_text(text: str) -> None:
    assert CONVERSIONS["none"](text) == text
    assert llava_gqa(text) == llava_gqa(text).lower()
