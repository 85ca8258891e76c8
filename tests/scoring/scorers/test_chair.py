import math

import numpy as np
import pytest

from pruneproof.mentions.objects import lexicon
from pruneproof.scoring.scorers import Truth, scorer
from pruneproof.scoring.scorers.chair import figures, mark, ratios, read

KNOWN = lexicon("dog, puppy\ncat\nperson, man\nhot dog\nbus")


def truth(*objects: str) -> Truth:
    return Truth((), {"objects": list(objects), "lexicon": KNOWN})


CAPTIONS = [
    ("A puppy and two dogs near a man.", truth("dog", "person")),
    ("A cat, a cat and a man eat hot dogs.", truth("cat", "dog")),
    ("Nothing to see here: a bus.", truth("bus")),
    ("A man", truth("person")),
]
SAID = [read(text, true).prediction for text, true in CAPTIONS]
TRUTHS = [true for _, true in CAPTIONS]
MARKS = np.array([mark(said, true) for said, true in zip(SAID, TRUTHS, strict=True)])


def test_it_is_a_scorer() -> None:
    assert scorer("chair").TITLE == "CHAIR"


def test_a_caption_is_read_as_its_mentions() -> None:
    assert SAID == ["dog, dog, person", "cat, cat, person, hot dog", "", "person"]
    assert not read("Nothing", truth()).parseable


def test_marks_are_shares_of_true_mentions() -> None:
    np.testing.assert_allclose(MARKS, [1, 1 / 2, math.nan, 1])


def test_ratios_by_hand() -> None:
    found = ratios(SAID, MARKS, TRUTHS)
    assert {name: (above.tolist(), below.tolist()) for name, (above, below) in found.items()} == {
        "i": ([0, 2, 0, 0], [3, 4, 0, 1]),
        "s": ([0, 1, 0, 0], [1, 1, 1, 1]),
        "recall": ([2, 1, 0, 1], [2, 2, 1, 1]),
    }


def test_figures_are_per_cent_to_one_decimal() -> None:
    assert figures(SAID, MARKS, TRUTHS) == {"CHAIRs": 25.0, "CHAIRi": 25.0}
    assert figures(SAID[:2] + SAID[3:], MARKS, TRUTHS[:2] + TRUTHS[3:]) == {"CHAIRs": 33.3, "CHAIRi": 25.0}


def test_without_any_mention_chair_i_is_undefined() -> None:
    found = figures(SAID[2:3], MARKS[2:3], TRUTHS[2:3])
    assert found["CHAIRs"] == 0
    assert math.isnan(found["CHAIRi"])


@pytest.mark.parametrize("score", [ratios, figures])
def test_no_captions_at_all(score: object) -> None:
    assert set(score([], np.zeros(0), [])) in ({"i", "s", "recall"}, {"CHAIRs", "CHAIRi"})  # type: ignore[operator]
