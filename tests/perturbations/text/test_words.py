from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.perturbations.text._words import edit_distance, negations, numbers, words


def textbook_distance(first: str, second: str) -> int:
    """The recurrence of Wagner and Fischer, one row at a time."""
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, start=1):
        above, row[0] = row[0], i
        for j, b in enumerate(second, start=1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (a != b))
    return row[-1]


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [
        ("", "", 0),
        ("", "abc", 3),
        ("kitten", "sitting", 3),
        ("flaw", "lawn", 2),
        ("Is there", "Si there", 2),
        ("same", "same", 0),
        ("aa", "aaa", 1),
    ],
)
def test_edit_distance_of_hand_worked_pairs(first, second, distance):
    assert edit_distance(first, second) == distance


@given(st.text("abc ", max_size=90), st.text("abc ", max_size=90))
def test_edit_distance_equals_the_textbook_recurrence(first, second):
    assert edit_distance(first, second) == textbook_distance(first, second)


def test_words_keep_their_apostrophes_and_hyphens():
    assert words("What\u2019s on the T-shirt? It isn't 3_4.") == (
        "what's", "on", "the", "t-shirt", "it", "isn't", "3", "4",
    )  # fmt: skip


def test_numbers_count_figures_and_words_alike_but_not_digits_inside_words():
    assert numbers("Two cars, 2 trees, 1.5 boats and one c4r") == {"2": 2, "1.5": 1, "1": 1}


def test_negations_are_counted_with_contractions():
    assert negations("No, it isn't there, and not here. No.") == {"no": 2, "isn't": 1, "not": 1}
