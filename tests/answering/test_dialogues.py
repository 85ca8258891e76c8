"""Every question is asked once as each turn, and the policies pick the turns that they name."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.answering.dialogues import Turn, conditions, in_turn, select_by
from pruneproof.records import Condition, Sample
from pruneproof.settings import DialogueSettings, SelectBy


def sample(number: int, target: str = "", kind: str = "existence") -> Sample:
    return Sample(f"s{number}", "one", kind, f"question {number}?", f"answer {number}", target=target)  # type: ignore[arg-type]


def asked(samples: list[Sample], turn: int, turns: int, chosen: SelectBy, seed: int = 0) -> dict[str, Turn]:
    found = in_turn(samples, turn, turns, chosen, np.random.default_rng(seed))
    return {one.sample_id: said for one, said in found}


def test_conditions_are_policies_by_turns() -> None:
    settings = DialogueSettings(turns=2, select_by=("last", "each"))
    found = conditions(settings)
    assert [condition.condition_id for condition in found] == [
        "dialogue_last_1", "dialogue_last_2", "dialogue_each_1", "dialogue_each_2",
    ]  # fmt: skip
    assert [select_by(settings, condition) for condition in found] == ["last", "last", "each", "each"]
    assert conditions(DialogueSettings()) == ()
    assert found[0] == Condition("dialogue", "dialogue_last", 1)


@pytest.mark.parametrize("turns", [2, 3, 5])
@given(count=st.integers(5, 9), seed=st.integers(0, 50))
def test_every_question_once_as_each_turn_of_dialogues_that_agree(turns: int, count: int, seed: int) -> None:
    samples = [sample(i) for i in range(count)]
    answers = {s.question: s.answer for s in samples}
    dialogues = set()
    for turn in range(1, turns + 1):
        first, last, each = (asked(samples, turn, turns, chosen, seed) for chosen in ("first", "last", "each"))
        assert set(first) == set(last) == set(each) == {s.sample_id for s in samples}
        for name, said in each.items():
            assert len(said.history) == turn - 1
            assert said.history == first[name].history == last[name].history
            assert all(answers[question] == answer for question, answer in said.history)
            assert said.selecting == said.question
            so_far = [question for question, _ in said.history] + [said.question]
            assert len(set(so_far)) == turn
            assert first[name].selecting == so_far[0]
            if turn == turns:
                assert last[name].selecting == said.question
                dialogues.add(tuple(so_far))
            else:
                assert last[name].selecting not in so_far
    # Earlier turns belong to the same dialogues: what `last` selects by is how the dialogue really ends.
    ends = {dialogue[0]: dialogue[-1] for dialogue in dialogues}
    for said in asked(samples, 1, turns, "last", seed).values():
        assert ends[said.question] == said.selecting


def test_the_first_turn_by_its_own_question_is_the_single_question() -> None:
    samples = [sample(i) for i in range(4)]
    assert asked(samples, 1, 3, "each") == {s.sample_id: Turn(s.question, (), s.question) for s in samples}


def test_samples_that_share_a_question_share_its_turn() -> None:
    twins = [sample(0), sample(1), Sample("again", "one", "existence", "question 1?", "answer 1", split="popular")]
    found = asked([*twins, sample(2)], 2, 2, "first")
    assert found["again"] == found["s1"]
    assert Counter(len(said.history) for said in found.values()) == {1: 4}


def test_too_few_questions_and_captions_are_not_asked() -> None:
    assert asked([sample(0), sample(1)], 1, 3, "each") == {}
    assert set(asked([sample(0), sample(1), replace(sample(2), asks="caption")], 1, 2, "each")) == {"s0", "s1"}


def test_questions_on_one_object_stand_apart() -> None:
    samples = [replace(sample(i, target="abc"[i % 3]), target_objects=(i % 3,)) for i in range(6)]
    # One more about two objects at once, of which only the first is its target.
    samples.append(replace(sample(6, target="d"), target_objects=(3, 0)))
    of = {s.question: {s.target, *s.target_objects} for s in samples}
    near = [
        bool(of[said.question] & of[earlier])
        for seed in range(20)
        for said in asked(samples, 3, 3, "each", seed).values()
        for earlier, _ in said.history
    ]
    # The circle closes anywhere, so not never; without care a quarter of all pairs would share an object.
    assert np.mean(near) < 0.1
