from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.isotonic import isotonic_regression

from pruneproof.scoring.effective import curve_through, isotonic

accuracies = st.integers(0, 20).map(lambda step: step / 20)


@given(arrays(float, (4, 6), elements=accuracies))
def test_isotonic_equals_scikit_learns(values: np.ndarray) -> None:
    expected = np.stack([isotonic_regression(row) for row in values])
    np.testing.assert_allclose(isotonic(values), expected, atol=1e-12)


def test_curve_by_hand() -> None:
    """Points given out of order; (0.8, 0.5) falls below (0.7, 0.55), so both become 0.525."""
    curve = curve_through(np.array([[0.9, 0.6, 0.8, 0.7]]), np.array([[0.7, 0.5, 0.5, 0.55]]))
    at = np.array([[0.6, 0.65, 0.7, 0.75, 0.85, 0.9]])
    assert curve.at(at)[0] == pytest.approx([0.5, 0.5125, 0.525, 0.525, 0.6125, 0.7])


def test_beyond_its_ends_the_curve_moves_point_for_point() -> None:
    curve = curve_through(np.array([[0.6, 0.9]]), np.array([[0.6, 0.7]]))
    assert curve.at(np.array([[0.5, 0.95]]))[0] == pytest.approx([0.5, 0.75])


def test_points_at_one_clean_accuracy_are_met_in_their_middle() -> None:
    curve = curve_through(np.array([[0.6, 0.8, 0.8, 0.8, 0.9]]), np.array([[0.6, 0.62, 0.64, 0.7, 0.75]]))
    assert curve.at(np.array([[0.8]]))[0] == pytest.approx([0.66])


@given(arrays(float, (3, 7), elements=accuracies), arrays(float, (3, 7), elements=accuracies))
def test_the_curve_rises_everywhere(clean: np.ndarray, perturbed: np.ndarray) -> None:
    at = np.tile(np.linspace(-0.1, 1.1, 121), (3, 1))
    assert (np.diff(curve_through(clean, perturbed).at(at), axis=1) >= -1e-9).all()


@given(arrays(float, (2, 6), elements=accuracies, unique=True))
def test_a_rising_curve_passes_through_its_points(values: np.ndarray) -> None:
    clean, perturbed = np.sort(values, axis=1), np.sort(values, axis=1) ** 2
    np.testing.assert_allclose(curve_through(clean, perturbed).at(clean), perturbed, atol=1e-9)


@given(
    arrays(float, (3, 5), elements=accuracies), arrays(float, (3, 5), elements=accuracies), st.permutations(range(5))
)
def test_the_order_of_the_points_does_not_matter(clean: np.ndarray, perturbed: np.ndarray, order: list[int]) -> None:
    at = np.tile(np.linspace(0, 1, 21), (3, 1))
    one, other = curve_through(clean, perturbed), curve_through(clean[:, order], perturbed[:, order])
    np.testing.assert_array_equal(one.at(at), other.at(at))
