import math
from collections.abc import Sequence

import numpy as np
import pytest

from pruneproof.scoring.captions import bleu, cider, java, rouge
from pruneproof.scoring.scorers import Truth, scorer
from pruneproof.scoring.scorers.coco_captions import figures, mark, ratios, read

SAID = ["a cat on a mat", "", "the dog"]
TRUTHS = [Truth(("a cat on the mat", "cat")), Truth(("a bus",)), Truth(("a dog", "the dog runs"))]
MARKS = np.full(3, np.nan)


def test_it_is_a_scorer() -> None:
    assert scorer("coco_captions").TITLE == "COCO captions"


def test_a_caption_is_read_as_its_tokens_and_has_no_right_or_wrong() -> None:
    assert read("a cat", TRUTHS[0]) == ("a cat", True)
    assert not read("", TRUTHS[0]).parseable
    assert math.isnan(mark("a cat", TRUTHS[0]))


def test_ratios_are_means_over_captions() -> None:
    found = ratios(SAID, MARKS, TRUTHS)
    assert list(found) == ["cider", "rouge_l", "length"]
    references = [truth.answers for truth in TRUTHS]
    assert found["cider"][0].tolist() == cider.score(SAID, cider.prepare(references)).tolist()
    assert found["rouge_l"][0].tolist() == [rouge.score(*pair) for pair in zip(SAID, references, strict=True)]
    assert found["length"][0].tolist() == [5, 0, 2]
    assert all(below.tolist() == [1, 1, 1] for _, below in found.values())


def test_a_fixed_set_of_documents_takes_the_place_of_the_evaluated_one() -> None:
    documents = {"images": 100, "counts": {"cat": 50}}
    fixed = [Truth(truth.answers, {"documents": documents}) for truth in TRUTHS]
    known = cider.Documents(100, {"cat": 50})
    expected = cider.score(SAID, cider.prepare([truth.answers for truth in TRUTHS], known)).tolist()
    assert ratios(SAID, MARKS, fixed)["cider"][0].tolist() == expected
    assert ratios(SAID, MARKS, TRUTHS)["cider"][0].tolist() != expected


def test_a_fixed_set_of_captions_is_cut_and_counted() -> None:
    collection = [["A Cat.", "A man's cat!"], ["Two dogs"], ["a dog"]]
    cut = [["a cat", "a man 's cat"], ["two dogs"], ["a dog"]]
    fixed = [Truth(truth.answers, {"collection": collection, "tokens": "plain"}) for truth in TRUTHS]
    known = cider.documents(cut)
    assert (known.images, known.counts["a"], known.counts["cat"]) == (3, 2, 1)
    expected = cider.score(SAID, cider.prepare([truth.answers for truth in TRUTHS], known)).tolist()
    assert ratios(SAID, MARKS, fixed)["cider"][0].tolist() == expected
    assert ratios(SAID, MARKS, TRUTHS)["cider"][0].tolist() != expected


def test_figures_are_those_of_the_corpus_to_three_decimals() -> None:
    found = figures(SAID, MARKS, TRUTHS)
    assert list(found) == ["Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "ROUGE_L", "CIDEr"]
    counts = np.sum([bleu.count(said, truth.answers) for said, truth in zip(SAID, TRUTHS, strict=True)], axis=0)
    assert [found[f"Bleu_{n}"] for n in range(1, 5)] == [round(value, 3) for value in bleu.score(counts).tolist()]
    assert found["CIDEr"] == pytest.approx(ratios(SAID, MARKS, TRUTHS)["cider"][0].mean(), abs=5e-4)
    assert all(math.isnan(value) for value in figures([], MARKS[:0], []).values())


def test_meteor_and_spice_are_printed_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    def meteor(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[float, list[float]]:
        given.append((list(candidates), [list(one) for one in references]))
        return 0.25, []

    monkeypatch.setattr(java, "meteor", meteor)
    truths = [Truth(truth.answers, {"java": ["meteor"]}) for truth in TRUTHS]
    printed = figures(SAID, np.full(len(SAID), np.nan), truths)
    assert printed["METEOR"] == 0.25
    assert "SPICE" not in printed
    assert given == [(list(SAID), [list(truth.answers) for truth in TRUTHS])]
    assert "METEOR" not in figures(SAID, np.full(len(SAID), np.nan), TRUTHS)
