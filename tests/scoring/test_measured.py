import numpy as np
import pytest
from scipy.stats import ttest_1samp

from pruneproof.records import CLEAN, Condition
from pruneproof.scoring.groups import groups_of
from pruneproof.scoring.measured import Measured, difference, estimates, mean_difference

CONDITIONS = (
    CLEAN,
    Condition("image", "fog", 1),
    Condition("image", "fog", 3),
    Condition("image", "snow", 1),
    Condition("text", "typo", 1),
)


def value_of(measured: Measured) -> dict[tuple[str, str], tuple[float, int]]:
    rows = estimates(measured, groups_of(CONDITIONS), 0.9)
    return {(group.perturbation, group.severity): (e.value, e.n) for group, e in rows}


def test_means_are_plain_means_of_the_conditions_in_which_the_metric_exists() -> None:
    found = value_of(Measured("x", np.array([0.5, 0.1, 0.3, np.nan, 0.9]), np.array([8, 4, 4, 0, 2])))
    assert ("snow", "1") not in found
    assert ("snow", "mean") not in found
    assert found["fog", "mean"] == (pytest.approx(20), 8)
    assert found["mean", "mean"] == (pytest.approx(90), 2)  # text comes last


def test_undefined_value_makes_the_mean_undefined() -> None:
    found = value_of(Measured("x", np.array([0.5, 0.1, np.nan, 0.2, 0.9]), np.array([8, 4, 4, 4, 2])))
    assert np.isnan(found["fog", "3"][0])
    assert np.isnan(found["fog", "mean"][0])
    assert found["snow", "mean"] == (pytest.approx(20), 4)


def test_interval_of_a_mean_comes_from_joint_resamples() -> None:
    """Two conditions whose resamples move against each other: their mean does not move at all."""
    up = np.linspace(0, 1, 11)
    replicates = np.stack([up, up, 1 - up, up, up])
    many = np.ones((5, 10**5), bool)
    measured = Measured("x", replicates.mean(1), np.full(5, 3), many, replicates=replicates, scale=1.0)
    rows = {(g.perturbation, g.severity): e for g, e in estimates(measured, groups_of(CONDITIONS), 0.8)}
    assert (rows["fog", "1"].low, rows["fog", "1"].high) == (pytest.approx(0.1, abs=1e-4), pytest.approx(0.9, abs=1e-4))
    assert (rows["fog", "mean"].low, rows["fog", "mean"].high) == (pytest.approx(0.5), pytest.approx(0.5))


def test_metric_that_exists_nowhere_has_no_rows() -> None:
    assert value_of(Measured("x", np.full(5, np.nan), np.zeros(5, int))) == {}


def test_mean_difference_is_a_t_test_where_every_image_has_one_question() -> None:
    """The mean over conditions too, because then an image's mean over them is one observation."""
    values = np.random.default_rng(0).normal(0.1, 0.5, (5, 9))
    found = mean_difference("x", values, np.arange(9), 9)
    rows = {(g.perturbation, g.severity): e for g, e in estimates(found, groups_of(CONDITIONS), 0.95)}
    for group, sample in ((("snow", "1"), values[3]), (("fog", "mean"), values[1:3].mean(0))):
        expected = ttest_1samp(sample, 0)
        interval = expected.confidence_interval(0.95)
        assert rows[group].p == pytest.approx(expected.pvalue)
        assert [rows[group].low, rows[group].high] == pytest.approx([100 * interval.low, 100 * interval.high])


def test_images_without_a_question_are_no_observation() -> None:
    values = np.full((1, 6), np.nan)
    values[0, :4] = (0.2, -0.1, 0.4, 0.3)
    few, many = (mean_difference("x", values[:, :n], np.arange(n), 40) for n in (4, 6))
    group = groups_of(CONDITIONS[:1])
    assert estimates(few, group, 0.95)[0][1] == estimates(many, group, 0.95)[0][1]


def test_difference_is_paired_resample_by_resample() -> None:
    replicates = np.random.default_rng(0).random((2, 50))
    one = Measured("x", np.array([0.4, 0.6]), np.array([3, 4]), np.ones((2, 8), bool), replicates=replicates)
    found = difference(one, Measured("x", one.value - 0.1, one.n - 1, one.asked, replicates=replicates - 0.1))
    assert found.value == pytest.approx([0.1, 0.1])
    assert found.n.tolist() == [2, 3]
    assert found.replicates == pytest.approx(np.full((2, 50), 0.1))


def test_what_depends_on_logits_is_written_to_fewer_decimals() -> None:
    rough = Measured("x", np.array([0.123456789]), np.array([3]), decimals=2)
    assert estimates(rough, groups_of(CONDITIONS[:1]), 0.95)[0][1].value == 12.35
