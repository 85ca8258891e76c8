from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pruneproof.perturbations.text import NotApplicable, _gate
from pruneproof.perturbations.text._words import negations, numbers, words
from pruneproof.perturbations.text.distractor import ABSENT, MISLEADING, NEUTRAL, absent, misleading, neutral
from pruneproof.training import corpus

NAMEABLE = set(
    words(
        "person bicycle car motorcycle airplane bus train truck boat light hydrant sign meter bench bird cat dog horse "
        "sheep cow elephant bear zebra giraffe backpack umbrella handbag tie suitcase frisbee skis snowboard ball kite "
        "bat glove skateboard surfboard racket bottle glass cup fork knife spoon bowl banana apple sandwich orange "
        "broccoli carrot dog pizza donut cake chair couch plant bed table toilet tv laptop mouse remote keyboard phone "
        "microwave oven toaster sink refrigerator book clock vase scissors bear drier toothbrush mailbox flower tree "
        "mushroom bucket butterfly sailboat lighthouse barrel fish anchor balloon rocket sofa television hat red "
        "yellow green blue purple white black brown grey pink left right above below"
    )
)
"""COCO's classes, the drawn ones, colours and sides."""


def draws(rewrite, sample, number=300):
    return {rewrite(sample, 1, np.random.default_rng(seed)) for seed in range(number)}


@pytest.mark.parametrize("sentence", [*NEUTRAL, *ABSENT, *MISLEADING])
def test_templates_name_nothing_that_could_be_asked_for(sentence):
    own = sentence.format(object="", claim="")
    assert not NAMEABLE & set(words(own))
    assert not numbers(own)
    assert not negations(own)
    assert sentence[0].isupper()
    assert sentence.endswith(".")


def test_the_built_in_models_were_not_trained_on_the_neutral_sentences():
    trained = [corpus.with_noise("How many cars?", np.random.default_rng(seed)) for seed in range(500)]
    assert any("Good morning." in text for text in trained)  # training does add neutral sentences, other ones
    assert not any(sentence in text for text in trained for sentence in NEUTRAL)


def test_each_template_stands_before_and_after_the_question(colour):
    question = colour.question
    assert draws(neutral, colour) == {f"{s} {question}" for s in NEUTRAL} | {f"{question} {s}" for s in NEUTRAL}


def test_an_absent_class_is_mentioned_and_never_the_asked_one(existence):
    asked_of_absent = replace(existence, absent=("an airplane", "a dog", "an anchor"), answer="no")
    sentences = {sentence.format(object=thing) for sentence in ABSENT for thing in ("a dog", "an anchor")}
    found = {text.replace(existence.question, "").strip() for text in draws(absent, asked_of_absent)}
    assert found == sentences


def test_a_claim_becomes_a_clause(colour):
    found = draws(misleading, colour)
    assert f"I think the umbrella is blue. {colour.question}" in found
    assert f"{colour.question} I heard that the umbrella is green." in found
    assert len(found) == 2 * len(MISLEADING) * 2


def test_a_clause_keeps_capitals_that_are_no_sentence_beginnings(colour):
    found = draws(misleading, replace(colour, alternatives=("TV sets are blue.",)), 20)
    assert all("TV sets are blue." in text for text in found)


def test_what_is_missing_is_said(existence):
    rng = np.random.default_rng(0)
    with pytest.raises(NotApplicable, match="no absent class"):
        absent(replace(existence, absent=("an airplane",)), 1, rng)
    with pytest.raises(NotApplicable, match="no false claim"):
        misleading(replace(existence, alternatives=()), 1, rng)


def test_every_draw_passes_its_gate(samples):
    for sample in samples:
        assert {_gate.with_neutral(sample, text) for text in draws(neutral, sample, 60)} == {None}
        assert {_gate.with_absent(sample, text) for text in draws(absent, sample, 60)} == {None}
        if sample.alternatives:
            assert {_gate.with_claim(sample, text) for text in draws(misleading, sample, 60)} == {None}
