"""Expected values are worked out by hand from `rouge.py` (salaniz/pycocoevalcap, ad63453)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.errors import PruneProofError
from pruneproof.scoring.captions.rouge import longest_common_subsequence, score

WORDS = st.lists(st.sampled_from("abcd"), max_size=12)


def table(first: list[str], second: list[str]) -> int:
    """The textbook's table."""
    rows = [[0] * (len(second) + 1)]
    for word in first:
        row = [0]
        for place, other in enumerate(second):
            row.append(rows[-1][place] + 1 if word == other else max(rows[-1][place + 1], row[-1]))
        rows.append(row)
    return rows[-1][-1]


@given(WORDS, WORDS)
def test_subsequence_is_as_long_as_in_the_textbook(first: list[str], second: list[str]) -> None:
    assert longest_common_subsequence(first, second) == table(first, second)


def test_subsequence_of_more_words_than_a_machine_word_has_bits() -> None:
    assert longest_common_subsequence(["a", "b"] * 100, ["b", "a"] * 100) == 199


def test_score_by_hand() -> None:
    # lcs(a cat sat, a cat) = 2: precision 2/3, recall 1.
    assert score("a cat sat", ["a cat"]) == pytest.approx(2.44 * (2 / 3) / (1 + 1.44 * 2 / 3))


def test_best_precision_and_best_recall_may_come_from_two_references() -> None:
    # `a b c x y z u v`: lcs 4 of 4 words said (precision 1); `a`: lcs 1 of 1 word (recall 1).
    assert score("a b x v", ["a b c x y z u v", "a"]) == pytest.approx(1)


def test_an_empty_caption_is_one_empty_word() -> None:
    assert score("", ["a cat"]) == 0
    assert score("", ["", "a cat"]) == pytest.approx(1)
    assert score("a", [""]) == 0


def test_two_blanks_hold_an_empty_word() -> None:
    # `a`, ``, `b` against `a`, `b`: lcs 2, precision 2/3, recall 1.
    assert score("a  b", ["a b"]) == pytest.approx(2.44 * (2 / 3) / (1 + 1.44 * 2 / 3))


def test_a_caption_without_references_is_refused() -> None:
    with pytest.raises(PruneProofError, match="'a cat' has no reference"):
        score("a cat", [])


@given(WORDS.map(" ".join), st.lists(WORDS.map(" ".join), min_size=1, max_size=3))
def test_scores_lie_between_0_and_1_and_a_reference_itself_scores_1(said: str, references: list[str]) -> None:
    assert 0 <= score(said, references) <= 1 + 1e-12
    assert score(said, [*references, said]) == pytest.approx(1)
