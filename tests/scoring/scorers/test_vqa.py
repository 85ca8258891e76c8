"""Hand-worked cases of VQAv2's script, and the invariants of its accuracy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.scoring.scorers import Truth, vqa
from pruneproof.scoring.scorers._contractions import CONTRACTIONS


def ten(*answers: str) -> Truth:
    """Ten answers, the last one repeated to fill them up."""
    return Truth((*answers, *[answers[-1]] * (10 - len(answers))))


def score(text: str, truth: Truth) -> float:
    return vqa.mark(vqa.read(text, truth).prediction, truth)


@pytest.mark.parametrize(("matches", "accuracy"), [(0, 0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1), (9, 1)])
def test_accuracy_is_the_mean_over_the_other_nine(matches: int, accuracy: float) -> None:
    assert score("dog", ten(*["dog"] * matches, "cat")) == pytest.approx(accuracy, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        ("Yes", "yes"),
        ("Yes.", "yes"),
        ("a dog", "dog"),
        ("The An A", ""),
        ("none", "0"),
        ("Two dogs", "2 dogs"),
        ("ten", "10"),
        ("eleven", "eleven"),
        ("3.5", "3.5"),  # a full stop before a digit stays
        ("3.", "3"),  # one after a digit does not
        (".5", ".5"),
        ("U.S.A.", "usa"),
        ("1,000", "1000"),
        ("1,000 sheep/goats", "1000 sheepgoats"),  # digit, comma, digit: every mark is deleted
        ("sheep/goats", "sheep goats"),
        ("sheep/ goats/cows", "sheep goatscows"),  # one next to a blank: all of its kind are deleted
        ("black-white, or grey", "black white or grey"),
        ("well-lit - room", "welllit room"),
        ("it's", "it's"),
        ("dont", "don't"),
        ("Im", "im"),  # the map has Im, which no word in lower case equals
        ("somebody'd", "somebodyd"),
        ("5:30 $10 50% a&b *", "5:30 $10 50% a&b *"),
        ("what?", "what"),
        ("", ""),
        ("...", ""),
        ("a" + "." * 40, "a" + "." * 8),  # at most 32 full stops
    ],
)
def test_normalisation_keeps_the_official_quirks(text: str, normalised: str) -> None:
    assert vqa.normalise(text) == normalised


def test_nothing_is_normalised_where_all_ten_answers_are_the_same() -> None:
    assert score("Yes", ten("yes")) == 0
    assert score("yes", ten("yes")) == 1
    assert score("Yes", ten("yes", "no", "yes")) == 1
    assert score("3.0", ten("3.0")) == 1


def test_blanks_around_do_not_make_answers_differ() -> None:
    assert score("YES", ten("yes ", "\tyes", "yes\n", "yes")) == 0
    assert score(" yes\n", ten("yes")) == 1
    assert vqa.read("two\ndogs", ten("two dogs")).prediction == "two dogs"


def test_truths_that_differ_only_in_case_are_normalised() -> None:
    assert score("the dog!", ten("Dog", "dog")) == 1


def test_empty_answer_is_unparseable_and_matches_only_what_normalises_to_nothing() -> None:
    assert vqa.read("", ten("yes")) == ("", False)
    assert vqa.read("The", ten("yes", "no")) == ("", False)
    assert score("", ten("a", "the", "the", "the", "the", "dog")) == 1


def test_figures_by_type() -> None:
    def of(kind: str) -> Truth:
        return Truth(("yes",) * 10, {"question_type": kind, "answer_type": "yes/no"})

    marks = np.array([0.5] + [0.0] * 15 + [0.3])
    found = vqa.figures([""] * 17, marks, [of("is the")] * 16 + [of("how many")])
    assert found == {
        "overall": 4.71,
        "perQuestionType/is the": 3.12,  # of 3.125
        "perQuestionType/how many": 30.0,
        "perAnswerType/yes/no": 4.71,
    }


words = st.sampled_from(["yes", "Yes", "no", "a", "the", "2", "two", "1,000", ".", "-", "/", "dont", " ", "\n", "é"])
texts = st.lists(words, max_size=5).map("".join)


@given(texts, st.lists(texts, min_size=10, max_size=10))
def test_accuracy_counts_matches_whatever_their_order(text: str, answers: list[str]) -> None:
    truth = Truth(tuple(answers))
    assert score(text, Truth(tuple(reversed(answers)))) == pytest.approx(score(text, truth), abs=1e-12)
    said = vqa.read(text, truth).prediction
    matches = sum(vqa.read(answer, truth).prediction == said for answer in answers)
    assert score(text, truth) == pytest.approx(min(10, 3 * matches) / 10, abs=1e-12)


@given(st.text())
def test_normalised_text_has_no_article_and_no_mark(text: str) -> None:
    found = vqa.normalise(text)
    assert not {"a", "an", "the"}.intersection(found.split())
    assert not set(';/[]"{}()=+\\_-><@`,?!').intersection(found)


def test_contractions_are_the_official_ones_that_can_act() -> None:
    assert len(CONTRACTIONS) == 114
    assert all(written.replace("'", "") == proper.replace("'", "") for written, proper in CONTRACTIONS.items())
