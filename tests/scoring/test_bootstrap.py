from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from pruneproof.scoring.bootstrap import draw_images, expanded_interval, expanded_tail, symmetric_interval, two_sided_p
from pruneproof.scoring.statistics import mean_ratio, sum_by_image
from pruneproof.seeds import generator


def clustered(rng: np.random.Generator, images: int, mean: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Values that share a random effect inside an image; images differ in their number of questions."""
    image = np.repeat(np.arange(images), rng.integers(2, 9, images))
    return mean + rng.normal(0, 1, images)[image] + rng.normal(0, 1, len(image)), image


def test_draws_are_whole_images_and_reproducible() -> None:
    draws = draw_images(7, 50, generator(1, "bootstrap"))
    assert (draws.sum(1) == 7).all()
    np.testing.assert_array_equal(draws, draw_images(7, 50, generator(1, "bootstrap")))


def test_bootstrap_error_equals_the_analytic_clustered_one() -> None:
    rng = np.random.default_rng(1)
    images = 300
    values, image = clustered(rng, images)
    replicates = mean_ratio(values[None], image, images).replicates(draw_images(images, 4000, rng))
    residuals = sum_by_image((values - values.mean())[None], image, images)[0]
    analytic = np.sqrt((residuals**2).sum()) / len(values)
    naive = values.std() / np.sqrt(len(values))
    assert replicates.std() == pytest.approx(analytic, rel=0.05)
    assert replicates.std() > 1.4 * naive


def test_tail_equals_the_formula() -> None:
    for images in (2, 24, 200):
        expected = norm.cdf(np.sqrt(images / (images - 1)) * student.ppf(0.025, images - 1))
        assert expanded_tail(images, 0.95) == pytest.approx(expected)
    assert expanded_tail(10**6, 0.95) == pytest.approx(0.025, abs=1e-6)
    assert np.isnan(expanded_tail(1, 0.95))


def test_interval_is_wider_than_the_percentiles_by_what_few_images_need() -> None:
    """Of normal replicates its half width is the t quantile times sqrt(I / (I - 1)) standard deviations."""
    replicates = norm.ppf((np.arange(100_000) + 0.5) / 100_000)[None]
    low, high = expanded_interval(replicates, 12, 0.95)
    expected = student.ppf(0.975, 11) * np.sqrt(12 / 11)
    assert [-low[0], high[0]] == pytest.approx([expected, expected], rel=1e-3)


def test_rows_with_undefined_resamples_have_the_interval_of_the_others() -> None:
    values = np.arange(101.0)
    gaps = np.full(151, np.nan)
    gaps[25:126] = values[::-1]
    padded = np.stack([np.concatenate([values, np.full(50, np.nan)]), gaps, np.full(151, np.nan)])
    images = np.array([10**8, 10**8, 10])
    low, high = expanded_interval(padded, images, 0.9)
    np.testing.assert_allclose(low, [5, 5, np.nan], atol=1e-5)
    np.testing.assert_allclose(high, [95, 95, np.nan], atol=1e-5)


def test_p_by_hand() -> None:
    """Nine replicates and the sample itself, none, one and all at or below zero: shares of 0.1, 0.2 and a half."""
    replicates = np.array([[1.0, 1, 1, 1, 1, 1, 1, 1, 1], [-1, 1, 1, 1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0, 0, 0, 0]])
    assert two_sided_p(replicates, 10**9) == pytest.approx([0.2, 0.4, 1.0], rel=1e-5)
    expected = 2 * student.cdf(norm.ppf(0.1) * np.sqrt(11 / 12), 11)
    assert two_sided_p(replicates[:1], 12) == pytest.approx([expected])
    assert np.isnan(two_sided_p(replicates[:1], 1)).all()
    assert np.isnan(two_sided_p(np.full((1, 4), np.nan), 12)).all()


def test_p_is_the_level_at_which_the_interval_reaches_zero() -> None:
    replicates = np.random.default_rng(5).normal(1.5, 1.0, (1, 4000))
    p = float(two_sided_p(replicates, 20)[0])
    for confidence, excludes in ((1 - 1.1 * p, True), (1 - 0.9 * p, False)):
        assert (expanded_interval(replicates, 20, confidence)[0][0] > 0) == excludes


def test_a_symmetric_interval_lies_around_the_value_however_far_its_replicates_are() -> None:
    rng = np.random.default_rng(4)
    replicates = np.stack([rng.normal(-1.0, 0.1, 4000), rng.normal(0.0, 1.0, 4000), np.full(4000, np.nan)])
    low, high = symmetric_interval(replicates, np.array([0.0, 5.0, 1.0]), 10_000, 0.95)
    np.testing.assert_allclose((low + high)[:2], [0.0, 10.0], atol=1e-8)
    assert high[0] == pytest.approx(1 + 1.645 * 0.1, abs=0.02), "all replicates lie on one side of the value"
    centred = symmetric_interval(replicates[1:2], np.array([0.0]), 10_000, 0.95)
    assert centred[1][0] == pytest.approx(1.96, abs=0.1)
    few = symmetric_interval(replicates[1:2], np.array([0.0]), 5, 0.95)
    assert few[1][0] > centred[1][0] + 0.3, "wider with few images"
    assert np.isnan([low[2], high[2]]).all()
    assert np.isnan(symmetric_interval(replicates[:1], np.array([0.0]), 1, 0.95)).all()
