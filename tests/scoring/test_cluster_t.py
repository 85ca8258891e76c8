from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from pruneproof.scoring.cluster_t import standard_error, t_interval, t_test
from pruneproof.scoring.statistics import mean_ratio


def sandwich(values: np.ndarray, image: np.ndarray) -> float:
    """CR1 as regression packages write it: (G / (G - 1)) ((N - 1) / (N - K)) (X'X)^-1 (sum u_g u_g') (X'X)^-1."""
    x = np.ones((len(values), 1))
    bread = np.linalg.inv(x.T @ x)
    residual = values - (x @ bread @ x.T @ values)
    scores = [x[image == g].T @ residual[image == g] for g in np.unique(image)]
    meat = sum(np.outer(score, score) for score in scores)
    groups, n = len(scores), len(values)
    return float(np.sqrt(groups / (groups - 1) * (n - 1) / (n - 1) * (bread @ meat @ bread))[0, 0])


@given(st.integers(0, 10_000))
def test_standard_error_is_the_cluster_robust_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = np.concatenate([np.arange(6), rng.integers(0, 6, 20)])
    values = rng.choice([-1.0, 0.0, 1.0], 26)
    found = standard_error(mean_ratio(values[None], image, 6).influence, 6)
    assert found[0] == pytest.approx(sandwich(values, image), abs=1e-8)


def test_with_one_question_an_image_it_is_the_t_test() -> None:
    values = np.random.default_rng(1).normal(0.3, 1, 12)
    mean, error = np.array([values.mean()]), standard_error(mean_ratio(values[None], np.arange(12), 12).influence, 12)
    expected = ttest_1samp(values, 0)
    assert t_test(mean, error, 12) == pytest.approx([expected.pvalue])
    low, high = t_interval(mean, error, 12, 0.9)
    interval = expected.confidence_interval(0.9)
    assert [low[0], high[0]] == pytest.approx([interval.low, interval.high])


def test_one_image_has_no_error_and_no_spread_is_no_evidence_against_zero() -> None:
    assert np.isnan(standard_error(np.zeros((1, 1)), 1)).all()
    assert t_test(np.array([0.0, 0.5]), np.zeros(2), 8).tolist() == [1, 0]
    assert np.isnan(t_test(np.array([0.0]), np.array([np.nan]), 1)).all()
