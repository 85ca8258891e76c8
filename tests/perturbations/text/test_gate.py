from __future__ import annotations

from dataclasses import replace

import pytest

from pruneproof.benchmarks._protect import protected
from pruneproof.perturbations.text import _gate
from pruneproof.records import Sample


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Does the picture show an airplane?", None),
        ("AIRPLANE: is there an airplane?", None),
        ("Is there an airplane in the image?", _gate.UNCHANGED),
        ("Is there a plane in the image?", _gate.PROTECTED_LOST),
        ("Are there any airplanes in the image?", _gate.PROTECTED_LOST),
        ("Is there an airplane in the image, yes?", _gate.YES_NO_ADDED),
        ("Is there no airplane in the image?", _gate.YES_NO_ADDED),
        ("Is there one airplane in the image?", _gate.NUMBER_CHANGED),
        ("Is there 1 airplane in the image?", _gate.NUMBER_CHANGED),
        ("Isn't there an airplane in the image?", _gate.NEGATION_CHANGED),
    ],
)
def test_a_paraphrase_must_keep_the_facts(existence, text, reason):
    assert _gate.reworded(existence, text) == reason


def test_numbers_and_negations_of_the_question_must_stay(existence):
    asked = replace(existence, question="Aren't there 2 cars beside 2 trees?", protected=())
    assert _gate.reworded(asked, "Beside 2 trees, aren't there two cars?") is None
    assert _gate.reworded(asked, "Aren't there 2 cars beside trees?") == _gate.NUMBER_CHANGED
    assert _gate.reworded(asked, "Are there 2 cars beside 2 trees?") == _gate.NEGATION_CHANGED


def test_only_a_declared_synonym_may_replace_a_protected_word(existence):
    assert _gate.with_synonyms(existence, "Is there a plane in the image?") is None
    assert _gate.with_synonyms(existence, "Is there a jet in the image?") == _gate.PROTECTED_LOST
    with_article = replace(existence, synonyms=(("an airplane", "a plane"), ("image", "picture")))
    assert _gate.with_synonyms(with_article, "Is there a plane in the image?") is None
    assert _gate.with_synonyms(with_article, "Is there the plane in the picture?") == _gate.PROTECTED_LOST


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Tell me teh colour of the tlal umbrella in the image.", None),
        ("Tell me the Colour of the tall umbrella in the image.", _gate.PROTECTED_LOST),
        ("Tell me the colour of the tall umb rella in the image.", _gate.PROTECTED_LOST),
        ("Tell me the colour of the red umbrella in the image.", _gate.RIVAL_ADDED),
        ("Tell me the colour of the blue umbrella in the image.", _gate.RIVAL_ADDED),
        ("Tell me the colour of the dog umbrella in the image.", _gate.RIVAL_ADDED),
        ("Tell me the colour of the tall umbrella no the image.", _gate.YES_NO_ADDED),
        ("Tell me the colour of the ten umbrella in the image.", _gate.NUMBER_CHANGED),
    ],
)
def test_a_typo_may_neither_touch_protected_words_nor_make_rivals(colour, text, reason):
    assert _gate.mistyped(colour, text) == reason


def test_digits_that_ocr_puts_into_words_are_no_numbers(colour):
    assert _gate.mistyped(colour, "Te1l me the colour of the ta1l umbrella in the ima9e.") is None


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("Thank you.", None),
        ("I like my dog.", _gate.RIVAL_ADDED),
        ("It is red.", _gate.RIVAL_ADDED),
        ("I own an umbrella.", _gate.SUBJECT_MENTIONED),
        ("I have two sisters.", _gate.NUMBER_CHANGED),
        ("I do not mind.", _gate.NEGATION_CHANGED),
        ("Please say yes.", _gate.YES_NO_ADDED),
    ],
)
@pytest.mark.parametrize("pattern", ["{sentence} {question}", "{question} {sentence}"])
def test_a_neutral_sentence_has_to_do_with_nothing(colour, sentence, reason, pattern):
    assert _gate.with_neutral(colour, pattern.format(sentence=sentence, question=colour.question)) == reason


def test_a_distractor_must_hold_the_question_word_for_word(colour):
    for judge in (_gate.with_neutral, _gate.with_absent, _gate.with_claim):
        assert judge(colour, colour.question) == _gate.UNCHANGED
        assert judge(colour, "Thank you. " + colour.question.lower()) == _gate.QUESTION_BROKEN


def test_an_absent_class_may_be_mentioned_but_not_the_asked_one(colour):
    assert _gate.with_absent(colour, f"I dreamt of a dog. {colour.question}") is None
    assert _gate.with_absent(colour, f"I dreamt of an umbrella. {colour.question}") == _gate.SUBJECT_MENTIONED


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        ("I think there are 4 buses.", None),
        ("I think there are two buses.", None),
        ("I think there are 3 buses.", _gate.NUMBER_CHANGED),
        ("I think there are five buses.", _gate.NUMBER_CHANGED),
    ],
)
def test_a_false_claim_may_hold_its_own_number_only(count, claim, reason):
    assert _gate.with_claim(count, f"{claim} {count.question}") == reason


def test_a_claim_that_is_the_truth_is_rejected(colour, count):
    honest = replace(count, alternatives=("There are three buses.",))
    assert _gate.with_claim(honest, f"I think there are three buses. {count.question}") == _gate.RIVAL_ADDED
    honest = replace(colour, alternatives=("The umbrella is red.",))
    assert _gate.with_claim(honest, f"I think the umbrella is red. {colour.question}") == _gate.RIVAL_ADDED


def test_a_claim_may_deny_that_the_object_exists(existence):
    assert _gate.with_claim(existence, f"I think there is no airplane. {existence.question}") is None


def test_held_words_are_protected_words_numbers_and_negations_as_written(colour):
    asked = replace(colour, question="Colour of 2 umbrella-stands, or isn't THE umbrella's colour T4? No umbrellas")
    assert _gate.held_words(asked) == (
        "Colour", "2", "umbrella-stands", "isn't", "umbrella's", "colour", "T4", "No",
    )  # fmt: skip


def test_rivals_leave_out_function_words_the_question_and_captions(existence, relation, samples):
    assert _gate.rivals(existence) == {"dog", "anchor"}
    assert _gate.rivals(relation) == {"kite"}
    assert _gate.rivals(samples[-1]) == {"kite"}


@pytest.mark.parametrize(
    ("question", "slip", "reason"),
    [
        ("Is the boy playing baseball?", "Is the toy playing baseball?", _gate.PROTECTED_LOST),
        ("Is the desk cluttered?", "Is the desk clutterde?", _gate.PROTECTED_LOST),
        ("Is she wearing a helmet?", "Is s he wearing a helmet?", _gate.PROTECTED_LOST),
        ("What is in the tower?", "What is on the tower?", _gate.PROTECTED_LOST),
        ("Are the lights on in this room?", "Are the lights no in this room?", _gate.PROTECTED_LOST),
        ("Is the bed white?", "Is ten bed white?", _gate.NUMBER_CHANGED),
        ("Is it night or day?", "Is it night no day?", _gate.YES_NO_ADDED),
        ("Where are the cars?", "Were aer hte cars?", None),
        ("Is there a drainage in the pic?", "Id fhede a drainage ij thd pis?", None),
    ],
)
def test_typos_in_questions_that_people_wrote(question, slip, reason):
    sample = Sample("s", "i", "other", question, "maybe", protected=protected(question, ["maybe"]))
    assert _gate.mistyped(sample, slip) == reason


def test_every_true_answer_is_a_rival(colour):
    asked = replace(colour, answers=("red", "red", "crimson"))
    assert _gate.rivals(asked) - _gate.rivals(colour) == {"crimson"}
    slip = asked.question.replace("Tell me", "Crimson em")
    assert _gate.mistyped(asked, slip) == _gate.RIVAL_ADDED
    assert _gate.mistyped(colour, slip) is None
