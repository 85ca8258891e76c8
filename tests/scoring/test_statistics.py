from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.scoring.bootstrap import draw_images
from pruneproof.scoring.statistics import Ratio, detectable_difference, holm, images_needed, mean_ratio, sum_by_image


def clustered(rng: np.random.Generator, images: int, mean: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Values that share a random effect inside an image; images differ in their number of questions."""
    image = np.repeat(np.arange(images), rng.integers(2, 9, images))
    return mean + rng.normal(0, 1, images)[image] + rng.normal(0, 1, len(image)), image


def test_sum_by_image() -> None:
    values = np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
    assert sum_by_image(values, np.array([2, 0, 2]), 3).tolist() == [[2, 0, 5], [16, 0, 40]]


def test_replicates_equal_resampling_row_by_row() -> None:
    rng = np.random.default_rng(0)
    values, image = clustered(rng, 12)
    values[::5] = np.nan
    draws = draw_images(12, 20, rng)
    found = mean_ratio(np.stack([values, 2 * values]), image, 12).replicates(draws)
    for number, draw in enumerate(draws.astype(int)):
        drawn = np.concatenate([values[image == cluster] for cluster in np.repeat(np.arange(12), draw)])
        assert found[:, number] == pytest.approx([np.nanmean(drawn), 2 * np.nanmean(drawn)])


def test_estimate_of_the_observed_sample() -> None:
    ratio = Ratio(np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([[2.0, 2.0], [0.0, 0.0]]))
    assert ratio.estimate[0] == 0.75
    assert np.isnan(ratio.estimate[1])
    assert ratio.replicates(np.array([[1.0, 1.0], [2.0, 0.0]]))[0].tolist() == [0.75, 0.5]


def test_influence_is_what_leaving_an_image_out_changes_to_first_order() -> None:
    rng = np.random.default_rng(3)
    values, image = clustered(rng, 400)
    ratio = mean_ratio(values[None], image, 400)
    influence = ratio.influence[0]
    assert influence.sum() == pytest.approx(0, abs=1e-6)
    for left_out in range(5):
        without = values[image != left_out].mean()
        assert values.mean() - without == pytest.approx(influence[left_out], rel=0.05)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]) == pytest.approx([1.0, 1.0])
    assert holm([]).size == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_p_and_bonferroni_and_keeps_the_order(p_values: list[float]) -> None:
    p, adjusted = np.array(p_values), holm(p_values)
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(1, len(p) * p)).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_detectable_difference_by_hand() -> None:
    # Standard error sqrt(2 * 0.15 / 1000); 1.95996 + 0.84162 of them.
    found = detectable_difference(100, 10, persistence=0, correlation=0)
    assert found == pytest.approx(100 * np.sqrt(0.3 / 1000) * 2.80158, rel=1e-5)


def test_detectable_difference_has_the_power_it_claims() -> None:
    """Differences with the assumed variance and correlations, shifted by the detectable difference, under a z test."""
    rng = np.random.default_rng(4)
    images, questions, conditions, rounds = 50, 8, 5, 600
    truth = detectable_difference(images, questions, conditions=conditions, discordance=0.2, correlation=0.1) / 100

    def normal(*shape: int) -> np.ndarray:
        return np.sqrt(0.1) * rng.normal(size=(*shape[:-1], 1)) + np.sqrt(0.9) * rng.normal(size=shape)

    hits = 0
    for _ in range(rounds):
        shared = normal(images, questions)
        each = np.stack([normal(images, questions) for _ in range(conditions + 1)])
        d = np.sqrt(0.2) * (np.sqrt(0.3) * shared + np.sqrt(0.7) * each)
        means = (d[0] - d[1:].mean(0) + truth).mean(1)
        hits += abs(means.mean()) > 1.96 * means.std(ddof=1) / np.sqrt(images)
    assert hits / rounds == pytest.approx(0.8, abs=0.05)


def test_more_images_detect_less_and_more_comparisons_need_more() -> None:
    assert detectable_difference(400, 10) == pytest.approx(detectable_difference(100, 10) / 2)
    assert detectable_difference(100, 10, comparisons=6) > detectable_difference(100, 10)


@given(st.floats(0.2, 20.0), st.floats(1.0, 40.0), st.integers(1, 100))
def test_as_many_images_as_are_needed_show_the_difference_and_one_less_does_not(
    points: float, questions: float, conditions: int
) -> None:
    images = images_needed(points, questions, conditions=conditions, comparisons=3)
    assert detectable_difference(images, questions, conditions=conditions, comparisons=3) <= points * (1 + 1e-9)
    if images > 2:
        assert detectable_difference(images - 1, questions, conditions=conditions, comparisons=3) > points * (1 - 1e-9)
