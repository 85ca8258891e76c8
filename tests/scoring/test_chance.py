import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.scoring.chance import Chance, chance_levels, most_frequent, retention, sightless, total

KINDS = ["existence"] * 4 + ["colour"] * 3 + ["count"] * 3
TRUTHS = ["no", "yes", "no", "no", "red", "blue", "green", "2", "2", "1"]


def test_by_hand() -> None:
    assert most_frequent(KINDS, TRUTHS) == {"existence": "no", "colour": "blue", "count": "2"}
    assert sightless(KINDS, TRUTHS).tolist() == [1, 0, 1, 1, 0, 1, 0, 1, 1, 0]
    levels = chance_levels(KINDS, TRUTHS)
    assert levels == {"existence": Chance(3, 4), "colour": Chance(1, 3), "count": Chance(2, 3)}
    assert total(levels, ["existence", "count"]).level == pytest.approx(5 / 7)
    assert np.isnan(total(levels, ["relation"]).level)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), min_size=1, max_size=30))
def test_no_other_constant_answers_do_better(asked: list[tuple[str, str]]) -> None:
    kinds, truths = [kind for kind, _ in asked], [truth for _, truth in asked]
    for kind, level in chance_levels(kinds, truths).items():
        own = [truth for name, truth in asked if name == kind]
        assert level.correct == max(own.count(answer) for answer in "xyz")
        assert level.questions == len(own)


def test_retention_of_a_model_without_a_lead_is_undefined() -> None:
    assert np.isnan(retention(70.0, 60.0, 60.0))
    np.testing.assert_allclose(retention([[60.0, 90.0]], [[50.0], [80.0]], 60.0), [[np.nan, np.nan], [0.0, 1.5]])
