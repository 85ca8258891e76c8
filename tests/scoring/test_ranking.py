"""Rank correlations against scipy, and what halves of the pictures say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from pruneproof.scoring.ranking import FEWEST, SPLITS, kendall, ranking_rows, spearman, split_images
from pruneproof.scoring.stability import Standing

few_values = arrays(float, (3, 7), elements=st.integers(0, 4).map(float))


@given(few_values, few_values)
def test_correlations_are_scipys_ties_included(one: np.ndarray, other: np.ndarray) -> None:
    for found, reference in ((spearman(one, other), stats.spearmanr), (kendall(one, other), stats.kendalltau)):
        for row, (a, b) in enumerate(zip(one, other, strict=True)):
            if len(set(a)) == 1 or len(set(b)) == 1:
                assert np.isnan(found[row])
            else:
                assert found[row] == pytest.approx(reference(a, b).statistic, abs=1e-8)


@given(few_values, few_values)
def test_only_the_order_counts(one: np.ndarray, other: np.ndarray) -> None:
    for correlate in (spearman, kendall):
        expected = correlate(one, other)
        np.testing.assert_array_equal(correlate(np.exp(one), 3 * other - 1), expected)
        np.testing.assert_array_equal(correlate(other, one), expected)


def test_halves_hold_every_picture_once() -> None:
    halves = split_images(7, np.random.default_rng(1))
    assert halves.shape == (2 * SPLITS, 7)
    first, rest = np.split(halves, 2)
    assert (first.sum(1) == 3).all()
    assert (first + rest == 1).all()
    assert (first.mean(0) > 0.2).all()


def standing(clean: np.ndarray, perturbed: np.ndarray) -> Standing:
    """Of (methods, 1 + resamples) accuracies."""
    names = [f"m{i}" for i in range(len(clean))]
    pairs = [dict(zip(names, values, strict=True)) for values in (clean, perturbed)]
    return Standing(*pairs, chance=np.zeros(clean.shape[1]), images=40)


def test_a_perfect_ranking_and_its_halves() -> None:
    order = np.arange(6.0)[:, None] / 10
    same = standing(np.tile(order, 9), np.tile(order, 9))
    halves = standing(np.tile(order, 5), np.tile(order[::-1], 5))
    rows = ranking_rows(("b", "image"), {"all": list(same.clean), "few": ["m0"] * (FEWEST - 1)}, same, halves, 0.95)
    assert [(row.among, row.statistic, row.methods) for row in rows] == [("all", "spearman", 6), ("all", "kendall", 6)]
    for row in rows:
        assert (row.value, row.low, row.high, row.ceiling) == (1, 1, 1, 1)
        assert row.across == -1, "clean accuracies of one half with perturbed ones of the other"


def test_noise_lowers_the_ceiling_and_what_reaches_across_alike() -> None:
    """Methods that differ less than chance does: one half cannot rank the other, whatever the full sample shows."""
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(12, 2 * SPLITS + 1))
    shared = standing(noise, noise)
    (row, _) = ranking_rows(("b", "image"), {"all": list(shared.clean)}, shared, shared, 0.95)
    assert row.value == 1, "the same noise on both sides looks like agreement"
    assert abs(row.ceiling) < 0.1
    assert row.across == pytest.approx(row.ceiling)


@pytest.mark.slow
def test_intervals_hold_the_true_correlation_in_most_studies() -> None:
    """Of 20 methods on 48 pictures, from accuracies that are drawn; percentiles of the resamples hold it in 73%."""
    rng = np.random.default_rng(3)
    held, studies = 0, 120
    for _ in range(studies):
        clean = np.clip(0.85 + 0.05 * rng.normal(size=20), 0.5, 0.99)
        perturbed = np.clip(clean - 0.08 + 0.02 * rng.normal(size=20), 0.4, 0.99)
        true = stats.spearmanr(clean, perturbed).statistic
        own = rng.normal(size=(48, 13, 20)) + rng.normal(size=(48, 13, 1)) + 0.4 * rng.normal(size=(48, 1, 1))
        again = own + 0.5 * rng.normal(size=own.shape)
        right = [
            (score / np.sqrt(2.16 + extra) < stats.norm.ppf(level)).mean(1)
            for score, level, extra in ((own, clean, 0), (again, perturbed, 0.25))
        ]
        weights = np.vstack([np.ones(48), rng.multinomial(48, np.full(48, 1 / 48), size=400)]) / 48
        whole = standing(*(values.T @ weights.T for values in right))
        (row, _) = ranking_rows(("b", "image"), {"all": list(whole.clean)}, whole, whole, 0.95)
        held += row.low <= true <= row.high
    assert held / studies > 0.85
