import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pruneproof.scoring.robustness import corruption_error, difference_in_drops, drop, flips

shares = st.floats(0, 1, allow_nan=False)
scores = arrays(float, (3, 7), elements=st.sampled_from([0.0, 1.0, np.nan]))


def test_corruption_error_by_hand() -> None:
    assert corruption_error([[0.2, 0.4], [0.1, 0.1]], [0.1, 0.2]) == pytest.approx([2.0, 2 / 3])


def test_corruption_error_is_undefined_against_a_model_without_errors() -> None:
    assert np.isnan(corruption_error([0.1, 0.2], [0.0, 0.0]))
    assert np.isnan(corruption_error([0.0], [0.0]))


@given(arrays(float, 5, elements=st.floats(0.01, 1)))
def test_corruption_error_of_the_full_model_is_one(errors: np.ndarray) -> None:
    assert corruption_error(errors, errors) == pytest.approx(1)


@given(scores)
def test_difference_in_drops_with_itself_is_zero(values: np.ndarray) -> None:
    own = drop(values[0], values)
    difference = difference_in_drops(own, own)
    known = np.isfinite(values) & np.isfinite(values[0])
    assert (difference[known] == 0).all()
    assert np.isnan(difference[~known]).all()


@given(scores, scores)
def test_difference_in_drops_is_the_change_of_the_difference(method: np.ndarray, full: np.ndarray) -> None:
    found = difference_in_drops(drop(method[0], method), drop(full[0], full))
    np.testing.assert_array_equal(found, (method[0] - full[0]) - (method - full))


def test_drop_sign() -> None:
    assert drop([1.0, 0.0], [[0.0, 0.0]]).tolist() == [[1.0, 0.0]]


def test_flips_also_see_one_wrong_answer_become_another() -> None:
    clean, perturbed = np.array([0, 1, 2, -1]), np.array([[0, 2, -1, 0], [1, 1, 2, -1]])
    np.testing.assert_array_equal(flips(clean, perturbed), [[0, 1, np.nan, np.nan], [1, 0, 0, np.nan]])
