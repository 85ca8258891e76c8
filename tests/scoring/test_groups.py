import numpy as np
import pytest

from pruneproof.records import CLEAN, Condition
from pruneproof.scoring.groups import Measured, estimates, groups_of

CONDITIONS = (
    CLEAN,
    Condition("image", "fog", 1),
    Condition("image", "fog", 3),
    Condition("image", "snow", 1),
    Condition("text", "typo", 1),
)


def test_groups_are_conditions_then_perturbations_then_families() -> None:
    found = [(g.family, g.perturbation, g.severity, g.members.tolist()) for g in groups_of(CONDITIONS)]
    assert found == [
        ("clean", "clean", "0", [0]),
        ("image", "fog", "1", [1]),
        ("image", "fog", "3", [2]),
        ("image", "snow", "1", [3]),
        ("text", "typo", "1", [4]),
        ("image", "fog", "mean", [1, 2]),
        ("image", "snow", "mean", [3]),
        ("text", "typo", "mean", [4]),
        ("image", "mean", "mean", [1, 2, 3]),  # no means by severity: snow lacks severity 3
        ("text", "mean", "1", [4]),
        ("text", "mean", "mean", [4]),
    ]


def test_family_at_one_severity_exists_if_its_perturbations_share_their_severities() -> None:
    conditions = [Condition("image", name, severity) for name in ("fog", "snow") for severity in (1, 5)]
    found = [(g.severity, g.members.tolist()) for g in groups_of(conditions) if g.perturbation == "mean"]
    assert found == [("1", [0, 2]), ("5", [1, 3]), ("mean", [0, 1, 2, 3])]


def test_dialogues_have_no_family_mean() -> None:
    dialogues = [Condition("dialogue", f"dialogue_{chosen}", turn) for chosen in ("first", "each") for turn in (1, 2)]
    found = [(g.perturbation, g.severity, g.members.tolist()) for g in groups_of([CLEAN, *dialogues])]
    assert found[5:] == [("dialogue_first", "mean", [1, 2]), ("dialogue_each", "mean", [3, 4])]


def value_of(measured: Measured) -> dict[tuple[str, str], tuple[float, int]]:
    rows = estimates(measured, groups_of(CONDITIONS), 0.9)
    return {(group.perturbation, group.severity): (e.value, e.n) for group, e in rows}


def test_means_are_plain_means_of_the_conditions_in_which_the_metric_exists() -> None:
    found = value_of(Measured("x", np.array([0.5, 0.1, 0.3, np.nan, 0.9]), None, np.array([8, 4, 4, 0, 2])))
    assert ("snow", "1") not in found
    assert ("snow", "mean") not in found
    assert found["fog", "mean"] == (pytest.approx(20), 8)
    assert found["mean", "mean"] == (pytest.approx(90), 2)  # text comes last


def test_undefined_value_makes_the_mean_undefined() -> None:
    found = value_of(Measured("x", np.array([0.5, 0.1, np.nan, 0.2, 0.9]), None, np.array([8, 4, 4, 4, 2])))
    assert np.isnan(found["fog", "3"][0])
    assert np.isnan(found["fog", "mean"][0])
    assert found["snow", "mean"] == (pytest.approx(20), 4)


def test_interval_of_a_mean_comes_from_joint_resamples() -> None:
    """Two conditions whose resamples move against each other: their mean does not move at all."""
    up = np.linspace(0, 1, 11)
    replicates = np.stack([up, up, 1 - up, up, up])
    measured = Measured("x", replicates.mean(1), replicates, np.full(5, 3), scale=1.0)
    rows = {(g.perturbation, g.severity): e for g, e in estimates(measured, groups_of(CONDITIONS), 0.8)}
    assert (rows["fog", "1"].low, rows["fog", "1"].high) == (pytest.approx(0.1), pytest.approx(0.9))
    assert (rows["fog", "mean"].low, rows["fog", "mean"].high) == (pytest.approx(0.5), pytest.approx(0.5))


def test_metric_that_exists_nowhere_has_no_rows() -> None:
    assert value_of(Measured("x", np.full(5, np.nan), None, np.zeros(5, int))) == {}
