import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.scoring.captions import hallucination
from pruneproof.scoring.matching import mentions, surface_forms

FORMS = surface_forms({"dog": ("dogs", "puppy"), "car": ("cars",), "traffic light": ("traffic lights",), "kite": ()})

CAPTIONS = [
    ("A puppy and two dogs near a car.", {"dog", "car"}),
    ("A kite, a kite and a traffic light above cars", {"car", "dog"}),
    ("Nothing to see here", {"kite"}),
    ("A traffic light", {"traffic light"}),
]


def counted(captions: list[tuple[str, set[str]]]) -> np.ndarray:
    return np.array([hallucination.count(mentions(text, FORMS), present) for text, present in captions])


def scores(counts: np.ndarray) -> dict[str, float]:
    with np.errstate(invalid="ignore"):
        return {name: float(np.divide(a.sum(), b.sum())) for name, (a, b) in hallucination.ratios(counts).items()}


def test_counts_by_hand() -> None:
    assert [tuple(row) for row in counted(CAPTIONS)] == [
        (3, 0, 2, 2),
        (4, 3, 1, 2),
        (0, 0, 0, 1),
        (1, 0, 1, 1),
    ]


def test_scores_by_hand() -> None:
    assert scores(counted(CAPTIONS)) == pytest.approx({"i": 3 / 8, "s": 1 / 4, "recall": 4 / 6})


def test_chair_i_is_undefined_if_nothing_is_mentioned() -> None:
    found = scores(counted(CAPTIONS[2:3]))
    assert math.isnan(found["i"])
    assert (found["s"], found["recall"]) == (0, 0)


@given(st.lists(st.tuples(st.lists(st.sampled_from(["dog", "car", "kite"])).map(" ".join), st.just({"dog", "car"}))))
def test_scores_are_shares_and_true_mentions_never_hallucinate(captions: list[tuple[str, set[str]]]) -> None:
    counts = counted([*captions, ("a dog", {"dog"})])
    found = scores(counts)
    assert all(0 <= found[name] <= 1 for name in ("i", "s", "recall"))
    assert (found["i"] == 0) == (found["s"] == 0) == all("kite" not in text for text, _ in captions)
