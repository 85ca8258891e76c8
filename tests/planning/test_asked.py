from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pruneproof import benchmarks, published
from pruneproof.folders import Folders
from pruneproof.planning.asked import Asked, Asking, asking_of
from pruneproof.planning.work import pictures_encoded
from pruneproof.records import CLEAN, Condition
from pruneproof.settings import Study

FOG, TYPO = Condition("image", "fog", 1), Condition("text", "typo_keyboard", 1)


def study(**benchmark: Any) -> Study:
    return Study.model_validate(
        {
            "study": {"name": "one"},
            "benchmark": benchmark,
            "perturbations": {"image": {"names": ["fog"], "severities": [1, 3]}, "text": {"names": ["typo_keyboard"]}},
            "backbones": {"it": {"family": "llava", "checkpoint": "a/b", "text_tower": "t"}},
            "methods": {"full": {"method": "full"}},
            "answering": {"dialogues": {"turns": 3, "select_by": ["first", "last"]}},
        }
    )


@pytest.mark.parametrize(
    ("name", "numbers"),
    [("pope", ("500", "3,000", "5,127")), ("vqav2", ("40,504", "214,354")), ("gqa", ("398", "12,578"))],
)
def test_known_sizes_are_those_on_the_benchmarks_cards(name: str, numbers: tuple[str, ...]) -> None:
    size, known = benchmarks.card(name).size, published.SETS[name]
    assert all(number in size for number in numbers)
    assert f"{known.pictures:,}" in size
    assert f"{known.pictures * known.answers:,.0f}" in size
    if name == "pope":  # 3,000 questions in each of three samplings
        assert known.pictures * known.rows == 3 * 3000


def test_a_published_set_is_asked_in_full_under_every_condition(tmp_path: Path) -> None:
    found = asking_of(study(name="pope", images=None, folder="nowhere"), Folders(tmp_path), by_question=False)
    assert (found.pictures, found.questions, found.rows) == (500, 5127, 9000)
    assert found.source == "the published size of pope"
    assert {one.condition.family for one in found.conditions} == {"clean", "image", "text", "dialogue"}
    assert all(one.questions == 5127 for one in found.conditions if one.condition.family != "dialogue")


@pytest.mark.parametrize(("by_question", "new"), [(False, [2, 3]), (True, [2, 3, 1, 2, 3])])
def test_dialogues_ask_anew_what_no_earlier_one_has_asked(tmp_path: Path, by_question: bool, new: list[int]) -> None:
    """Selecting by the last question makes even the first turn another one, for methods that look at it."""
    found = asking_of(study(name="pope", images=None), Folders(tmp_path), by_question)
    turns = [one.turns + 1 for one in found.conditions if one.condition.family == "dialogue" and one.questions]
    assert turns == new


def test_half_the_pictures_are_half_of_everything() -> None:
    whole = Asking((Asked(CLEAN, 10, 40, 10), Asked(FOG, 10, 40)), 60, (), (), (), "")
    assert whole.of(5).conditions == (Asked(CLEAN, 5, 20, 5), Asked(FOG, 5, 20))
    assert whole.of(5).rows == 30


@pytest.mark.parametrize(("kept", "again"), [(200, 0), (199, 10), (100, 10), (99, 20)])
def test_clean_pictures_are_encoded_again_where_corrupted_ones_took_their_place(kept: int, again: int) -> None:
    """Ten clean and ten corrupted pictures of 10 bytes; two rewordings show the clean ones."""
    asked = (Asked(CLEAN, 10, 10), Asked(FOG, 10, 10), Asked(TYPO, 10, 10), Asked(TYPO, 10, 10))
    assert pictures_encoded(Asking(asked, 10, (), (), (), ""), 10.0, kept) == (20, again)
