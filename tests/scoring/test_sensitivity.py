"""Against scikit-learn, scipy and curves worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, roc_auc_score, roc_curve

from pruneproof.scoring.sensitivity import brier, calibration_error, probability, roc, signal_detection

Made = tuple[np.ndarray, np.ndarray, np.ndarray]


def made(rng: np.random.Generator, questions: int = 90, images: int = 8) -> Made:
    """Margins with many ties; both answers occur."""
    present = rng.random(questions) < 0.4
    present[:2] = (True, False)
    return np.round(rng.normal(present * 1.2, 1.0), 1), present, rng.integers(0, images, questions)


def repeated(weights: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Rows of the resampled questions."""
    return np.repeat(np.arange(len(image)), weights.astype(int)[image])


def test_area_equals_scikit_learns_on_every_resample() -> None:
    rng = np.random.default_rng(0)
    margin, present, image = made(rng)
    weights = np.vstack([np.ones(8), rng.multinomial(8, np.full(8, 1 / 8), 20)])
    found = roc(margin, present, image, 8).area(weights)
    for row, w in enumerate(weights):
        rows = repeated(w, image)
        assert found[row] == pytest.approx(roc_auc_score(present[rows], margin[rows]))


def test_false_alarms_at_a_recall_equal_scikit_learns_curve_on_every_resample() -> None:
    rng = np.random.default_rng(1)
    margin, present, image = made(rng)
    weights = np.vstack([np.ones(8), rng.multinomial(8, np.full(8, 1 / 8), 20)]).astype(float)
    curve = roc(margin, present, image, 8)
    for recall in (0.0, 0.137, 0.5, 0.9, 1.0):
        found = curve.false_alarms(weights, np.full(len(weights), recall))
        for row, w in enumerate(weights):
            rows = repeated(w, image)
            false, true, _ = roc_curve(present[rows], margin[rows], drop_intermediate=False)
            # The lowest rate of the steps that reach the recall: where the curve rises straight up, its foot.
            step = int(np.argmax(true >= recall - 1e-9))
            if step == 0:
                expected = 0.0
            else:
                part = (recall - true[step - 1]) / (true[step] - true[step - 1])
                expected = false[step - 1] + part * (false[step] - false[step - 1])
            assert found[row] == pytest.approx(expected, abs=1e-6)


def test_matched_recall_by_hand() -> None:
    """Margins: present 3, 1, -1; absent 2, 0, -2. All three are found at -1, where two of three are invented."""
    margin = np.array([3.0, 1.0, -1.0, 2.0, 0.0, -2.0])
    present = np.array([True, True, True, False, False, False])
    curve = roc(margin, present, np.zeros(6, int), 1)
    recalls = np.array([0, 1 / 3, 2 / 3, 1])
    assert curve.false_alarms(np.ones((4, 1)), recalls) == pytest.approx([0, 0, 1 / 3, 2 / 3])
    assert curve.area(np.ones((1, 1))) == pytest.approx(6 / 9)


@given(st.integers(0, 10_000))
def test_saying_yes_less_changes_neither_area_nor_matched_rate(seed: int) -> None:
    """A model that sees as much and only leans further to no."""
    rng = np.random.default_rng(seed)
    margin, present, image = made(rng, questions=30)
    one, other = (roc(m, present, image, 8) for m in (margin, margin - 2))
    weights = np.ones((1, 8))
    assert one.area(weights) == other.area(weights)
    for recall in (0.3, 0.8, 1.0):
        assert one.false_alarms(weights, np.array([recall])) == other.false_alarms(weights, np.array([recall]))


def test_without_present_or_absent_objects_nothing_is_defined() -> None:
    margin, image = np.array([1.0, 2.0]), np.array([0, 1])
    for present in ([True, True], [False, False]):
        curve = roc(margin, np.array(present), image, 2)
        assert np.isnan(curve.area(np.ones((1, 2)))).all()
        assert np.isnan(curve.false_alarms(np.ones((1, 2)), np.array([0.5]))).all()
    assert np.isnan(calibration_error(np.empty(0), np.empty(0, bool)))


def test_signal_detection_equals_the_formula() -> None:
    found = signal_detection([45, 0], [50, 50], [10, 0], [100, 100])
    for i, (h, f) in enumerate(((45.5 / 51, 10.5 / 101), (0.5 / 51, 0.5 / 101))):
        assert found.d_prime[i] == pytest.approx(norm.ppf(h) - norm.ppf(f))
        assert found.criterion[i] == pytest.approx(-(norm.ppf(h) + norm.ppf(f)) / 2)
    assert found.criterion[1] > 2  # says no to everything, and it shows in c


def test_calibration_equals_scikit_learns() -> None:
    margin, present, _ = made(np.random.default_rng(2), questions=400)
    margin = margin + 0.01  # no probability of exactly 0.5, which the two put into different bins
    p = probability(margin)
    assert brier(margin, present).mean() == pytest.approx(brier_score_loss(present, p))
    share, mean = calibration_curve(present, p, n_bins=10)
    sizes = np.bincount(np.minimum((10 * p).astype(int), 9), minlength=10)
    assert calibration_error(margin, present) == pytest.approx((np.abs(share - mean) * sizes[sizes > 0]).sum() / 400)


def test_calibration_by_hand() -> None:
    """Always 0.75 sure of yes and right half of the time."""
    margin = np.full(4, np.log(3))
    present = np.array([True, False, True, False])
    assert calibration_error(margin, present) == pytest.approx(0.25)
    assert brier(margin, present).mean() == pytest.approx((0.25**2 + 0.75**2) / 2)
