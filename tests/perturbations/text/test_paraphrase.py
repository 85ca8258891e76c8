from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pruneproof.perturbations.text import NotApplicable
from pruneproof.perturbations.text.paraphrase import phrasing, synonym


def draws(rewrite, sample, number=40):
    return {rewrite(sample, 1, np.random.default_rng(seed)) for seed in range(number)}


def test_every_rephrasing_is_drawn_and_nothing_else(existence):
    asked = replace(existence, rephrasings=(*existence.rephrasings, existence.question))
    assert draws(phrasing, asked) == set(existence.rephrasings)


def test_no_rephrasing_is_said_so(existence):
    for rephrasings in ((), (existence.question,)):
        with pytest.raises(NotApplicable, match="no rephrasing"):
            phrasing(replace(existence, rephrasings=rephrasings), 1, np.random.default_rng(0))


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
