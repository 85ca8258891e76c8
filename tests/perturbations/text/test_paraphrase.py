from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pruneproof.perturbations.text import NotApplicable, _gate
from pruneproof.perturbations.text.paraphrase import human, phrasing, synonym
from pruneproof.perturbations.text.stage import reword
from pruneproof.records import Condition


def draws(rewrite, sample, number=40):
    return {rewrite(sample, 1, np.random.default_rng(seed)) for seed in range(number)}


def test_every_rephrasing_is_drawn_and_nothing_else(existence):
    asked = replace(existence, rephrasings=(*existence.rephrasings, existence.question))
    assert draws(phrasing, asked) == set(existence.rephrasings)


def test_no_rephrasing_is_said_so(existence):
    for rephrasings in ((), (existence.question,)):
        with pytest.raises(NotApplicable, match="no rephrasing"):
            phrasing(replace(existence, rephrasings=rephrasings), 1, np.random.default_rng(0))


def test_the_severity_is_the_number_of_the_rephrasing(existence):
    asked = replace(existence, rephrasings=("A plane?", existence.question, "Any aircraft here?"))
    assert draws(human, asked) == {"A plane?"}
    assert human(asked, 3, np.random.default_rng(0)) == "Any aircraft here?"
    for severity, reason in ((2, "rephrasing 2 is the question itself"), (4, "no rephrasing 4")):
        with pytest.raises(NotApplicable, match=reason):
            human(asked, severity, np.random.default_rng(0))


def test_what_people_wrote_is_asked_in_whatever_words(existence):
    asked = replace(existence, rephrasings=("Would you say that two aircraft are not here?",))
    assert reword(asked, Condition("text", "paraphrase_human", 1), 0).reason == ""
    assert reword(asked, Condition("text", "paraphrase_phrasing", 1), 0).reason == _gate.PROTECTED_LOST
    missing = reword(asked, Condition("text", "paraphrase_human", 2), 0)
    assert missing.reason == "not applicable: the sample has no rephrasing 2"


def test_each_subset_of_the_words_is_replaced_and_the_article_mended(existence):
    assert draws(synonym, existence) == {
        "Is there a plane in the image?",
        "Is there an airplane in the picture?",
        "Is there a plane in the picture?",
    }


@pytest.mark.parametrize(
    ("question", "pair", "expected"),
    [
        ("A car?", ("car", "automobile"), "An automobile?"),
        ("Car or cart?", ("car", "automobile"), "Automobile or cart?"),
        ("Is it a big car?", ("car", "automobile"), "Is it a big automobile?"),
        ("Is there a letter box?", ("letter box", "mailbox"), "Is there a mailbox?"),
        ("Is it an hourglass?", ("hourglass", "unicorn"), "Is it a unicorn?"),
        ("Is there a guest?", ("guest", "honest man"), "Is there an honest man?"),
    ],
)
def test_case_articles_and_whole_words(existence, question, pair, expected):
    assert draws(synonym, replace(existence, question=question, synonyms=(pair,)), 5) == {expected}


def test_replacements_are_not_replaced_again(existence):
    chained = replace(existence, question="a car beside a bus", synonyms=(("car", "bus"), ("bus", "coach")))
    assert draws(synonym, chained) == {"a bus beside a bus", "a car beside a coach", "a bus beside a coach"}


def test_no_synonym_is_said_so(existence):
    for synonyms in ((), (("tree", "plant"),)):
        with pytest.raises(NotApplicable, match="no synonym"):
            synonym(replace(existence, synonyms=synonyms), 1, np.random.default_rng(0))
