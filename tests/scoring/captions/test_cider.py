"""Expected values are worked out by hand from `cider_scorer.py` (salaniz/pycocoevalcap, ad63453)."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.errors import PruneProofError
from pruneproof.scoring.captions import cider

WORDS = st.lists(st.sampled_from(["a", "cat", "dog", "on", "the", "mat"]), max_size=8).map(" ".join)
SETS = st.lists(st.tuples(WORDS, st.lists(WORDS, min_size=1, max_size=3)), min_size=1, max_size=6)


def scores(captions: list[str], references: list[list[str]], known: cider.Documents | None = None) -> list[float]:
    return cider.score(captions, cider.prepare(references, known)).tolist()


def test_a_caption_equal_to_its_only_reference_scores_10_if_all_its_ngrams_are_rare() -> None:
    assert scores(["a b c d", "x"], [["a b c d"], ["y"]]) == pytest.approx([10, 0])


def test_ngrams_that_the_caption_is_too_short_for_count_as_0() -> None:
    assert scores(["a b", "x"], [["a b"], ["y"]]) == pytest.approx([10 * 2 / 4, 0])


def test_words_of_every_picture_weigh_nothing() -> None:
    # `a` is in both pictures: log 2 - log 2 = 0. Of the bigrams, trigrams and 4-grams none is shared.
    assert scores(["a", "a"], [["a b"], ["a c"]]) == [0, 0]


def test_repeats_are_clipped_to_the_reference() -> None:
    # Unigram `b` twice against once: min(2w, w) w / (2w w) = 1/2. Nothing longer is shared; lengths 1 and 0 bigrams.
    penalty = math.exp(-1 / 72)
    assert scores(["b b", "x"], [["b"], ["y"]]) == pytest.approx([10 * penalty * (1 / 2) / 4, 0])


def test_length_is_counted_in_bigrams_so_that_one_word_is_as_long_as_none() -> None:
    known = cider.Documents(100, {})
    long, short = scores(["b", "b c d"], [["b b"], ["b"]], known)
    assert long == pytest.approx(10 / 4 * math.exp(-1 / 72) * 1)
    assert short == pytest.approx(10 / 4 * math.exp(-4 / 72) / math.sqrt(3))
    assert scores(["b"], [["b"]], known) == pytest.approx([10 / 4])


def test_a_set_of_one_picture_scores_0_because_nothing_is_rare() -> None:
    assert scores(["a b c d"], [["a b c d"]]) == [0]


def test_score_is_the_mean_over_references() -> None:
    assert scores(["a b c d", "x"], [["a b c d", "e f g h"], ["y"]]) == pytest.approx([5, 0])


def test_a_fixed_set_makes_a_subset_score_as_the_whole() -> None:
    captions = ["a cat on a mat", "a dog", "the dog on the mat"]
    references = [["a cat on the mat", "cat"], ["a dog", "the dog"], ["a dog on a mat"]]
    whole = cider.documents(references)
    assert whole.images == 3
    assert {ngram: whole.counts.get(ngram) for ngram in ("a", "cat", "a dog", "mouse")} == {
        "a": 3,
        "cat": 1,
        "a dog": 2,
        "mouse": None,
    }
    assert scores(captions[:2], references[:2], whole) == scores(captions, references)[:2]
    assert scores(captions[:2], references[:2]) != scores(captions, references)[:2]


def test_empty_captions_and_references_score_0() -> None:
    assert scores(["", "a", ""], [["a"], [""], [""]]) == [0, 0, 0]
    assert scores([], []) == []


def test_a_picture_without_references_is_refused() -> None:
    with pytest.raises(PruneProofError, match="picture 1 of 2 has no reference"):
        cider.prepare([["a"], []])


@given(SETS)
def test_scores_lie_between_0_and_10_and_do_not_depend_on_the_order_of_pictures(
    captions: list[tuple[str, list[str]]],
) -> None:
    said, references = map(list, zip(*captions, strict=True))
    found = np.array(scores(said, references))
    assert ((found >= 0) & (found <= 10 + 1e-9)).all()
    np.testing.assert_allclose(scores(said[::-1], references[::-1]), found[::-1])
