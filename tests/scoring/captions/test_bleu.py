"""Expected values are worked out by hand from `bleu_scorer.py` (salaniz/pycocoevalcap, ad63453)."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.errors import PruneProofError
from pruneproof.scoring.captions import bleu

WORDS = st.lists(st.sampled_from(["a", "cat", "dog", "on", "the", "mat"]), max_size=8).map(" ".join)


def test_counts_by_hand() -> None:
    # `the` occurs at most twice in one reference; of the lengths 6 and 8 both are one away from 7, the shorter counts.
    counts = bleu.count("the the the the the the cat", ["the dog and the cat ran", "the cat is the best of all here"])
    assert counts == (7, 6, 7, 6, 5, 4, 3, 1, 0, 0)


def test_a_caption_shorter_than_four_words_has_no_4grams() -> None:
    assert bleu.count("a cat", ["a cat on a mat"]) == (2, 5, 2, 1, 0, 0, 2, 1, 0, 0)


def test_a_perfect_caption_of_four_words_scores_1() -> None:
    assert bleu.score(bleu.count("a cat sat here", ["a cat sat here"])) == pytest.approx([1] * 4)


def test_no_ngrams_at_all_count_as_a_millionth_of_a_match() -> None:
    # (0 + 1e-15) / (0 + 1e-9) = 1e-6 for the 4-grams of a caption of three words: (1e-6) ** (1/4).
    assert bleu.score(bleu.count("a cat sat", ["a cat sat"])) == pytest.approx([1, 1, 1, 1e-6**0.25])


def test_a_short_caption_pays_for_its_brevity_and_a_long_one_does_not() -> None:
    short = bleu.score(bleu.count("a b", ["a b c d"]))
    assert short[:2] == pytest.approx([math.exp(-1)] * 2)
    assert bleu.score(bleu.count("a b c d", ["a b"]))[:2] == pytest.approx([1 / 2, math.sqrt(1 / 2 * 1 / 3)])


def test_a_corpus_is_scored_on_sums_not_by_the_mean() -> None:
    counts = np.array([bleu.count("a b", ["a b"]), bleu.count("c d e f", ["x"])])
    assert bleu.score(counts.sum(0))[0] == pytest.approx(2 / 6)
    assert bleu.score(counts)[:, 0].mean() == pytest.approx(1 / 2)


def test_an_empty_caption_scores_0() -> None:
    assert bleu.score(bleu.count("", ["a cat"])).tolist() == [0] * 4
    assert bleu.score(bleu.count("", [""])).tolist() == [0] * 4


def test_a_caption_without_references_is_refused() -> None:
    with pytest.raises(PruneProofError, match="'a cat' has no reference"):
        bleu.count("a cat", [])


@given(st.lists(st.tuples(WORDS, st.lists(WORDS, min_size=1, max_size=3)), min_size=1, max_size=6))
def test_scores_lie_between_0_and_1(captions: list[tuple[str, list[str]]]) -> None:
    counts = np.array([bleu.count(*caption) for caption in captions])
    for scores in (bleu.score(counts), bleu.score(counts.sum(0))):
        assert ((scores >= 0) & (scores <= 1)).all()
