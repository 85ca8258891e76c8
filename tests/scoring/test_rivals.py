"""Kinds, equal costs and picks against cases worked by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pruneproof.errors import PruneProofError
from pruneproof.files import write_text
from pruneproof.scoring.costs import flops_ratios
from pruneproof.scoring.equal_cost import equal_cost_rows, over_random
from pruneproof.scoring.kinds import kind_rows
from pruneproof.scoring.picks import pick_rows
from pruneproof.scoring.statistics import holm
from pruneproof.settings import MethodSettings

METHODS = {
    name: MethodSettings.model_validate(own)
    for name, own in {
        "full": {"method": "full"},
        "random_50": {"method": "random", "keep": 0.5},
        "random_25": {"method": "random", "keep": 0.25},
        "atp": {"method": "atp", "keep": 0.4},
        "faster": {"method": "fastervlm", "keep": 0.1},
        "unknown": {"method": "divprune", "keep": 0.1},
    }.items()
}


def sample(value: float, *replicates: float) -> np.ndarray:
    """(1 + resamples) shares from percent."""
    return np.array([value, *replicates]) / 100


def test_a_method_is_held_against_random_pruning_that_costs_as_much() -> None:
    accuracy = {
        "full": sample(90, 88, 92), "random_50": sample(80, 80, 80), "random_25": sample(60, 50, 70),
        "atp": sample(75, 71, 79), "faster": sample(70, 70, 70), "unknown": sample(1, 1, 1),
    }  # fmt: skip
    spent = {"full": 100.0, "random_50": 50.0, "random_25": 25.0, "atp": 40.0, "faster": 10.0}
    controls = over_random(["atp", "faster", "random_25", "unknown"], METHODS, "full", spent, accuracy)
    assert list(controls) == ["atp", "faster"], "a random method is no rival, and the cost of one is unknown"
    # 15 of 25 of the way from random 25% to random 50%.
    np.testing.assert_allclose(100 * controls["atp"], [72, 68, 76])
    first, second = equal_cost_rows(("b", "image"), "tokens", spent, accuracy, controls, 40, 0.95)
    assert (first.method, first.spent, first.accuracy, first.control) == ("atp", 40.0, 75.0, 72.0)
    assert (first.value, first.low, first.high) == pytest.approx((3, 3, 3))
    assert (second.method, second.accuracy) == ("faster", 70.0)
    assert np.isnan([second.control, second.value, second.low, second.p]).all(), "cheaper than any control"


def test_a_kind_is_the_mean_of_its_methods_in_every_resample() -> None:
    kinds = {"attention": ["a", "b", "gone"], "merging": ["c"], "control": ["r"], "diversity": ["gone"]}
    rng = np.random.default_rng(1)
    values = {name: np.concatenate([[0.01 * i], rng.normal(0.01 * i, 0.005, 999)]) for i, name in enumerate("abcr")}
    rows = {row.kind: row for row in kind_rows(("b", "image"), "effective", kinds, values, 48, 0.95)}  # type: ignore[arg-type]
    assert list(rows) == ["attention", "merging", "control"], "no method of the fourth kind has a value"
    attention, merging, control = rows.values()
    assert attention.methods == "a b"
    assert attention.value == pytest.approx(0.5)
    mean = 100 * (values["a"] + values["b"])[1:] / 2
    assert attention.low < np.quantile(mean, 0.025) < np.quantile(mean, 0.975) < attention.high
    assert attention.high - attention.low < merging.high - merging.low, "two independent methods vary less than one"
    assert [attention.p_holm, merging.p_holm] == holm([attention.p, merging.p]).tolist()
    assert np.isnan(control.p_holm)


def test_the_best_that_one_can_afford_and_how_far_the_others_are_behind() -> None:
    accuracy = {"a": sample(70, 69, 72, 71, 70), "b": sample(75, 74, 71, 75, 70), "c": sample(70, 60, 60, 60, 60)}
    flops = {"a": 0.5, "b": 0.6, "c": 0.4}
    rows = pick_rows(("b", "image"), ["a", "b", "c"], flops, accuracy, 30, 0.95)
    assert [row.method for row in rows] == ["b", "c", "a"], "of two as good, the cheaper one"
    assert [row.value for row in rows] == pytest.approx([0, 5, 5])
    assert [row.accuracy for row in rows] == pytest.approx([75, 70, 70])
    # b wins two resamples, a wins one, and they share one.
    assert [row.first for row in rows] == pytest.approx([62.5, 0, 37.5])
    best, third, second = rows
    assert (best.low, best.high, best.p) == (0, 0, pytest.approx(1, abs=0.2))
    assert second.low < 0 < second.high, "cannot be told from the best"
    assert third.low > 0
    assert pick_rows(("b", "image"), [], flops, accuracy, 30, 0.95) == []


def test_flops_are_summed_over_components_and_divided_by_the_full_models(tmp_path: Path) -> None:
    path = tmp_path / "flops.csv"
    write_text(
        path, "backbone,method,component,flops\nb,full,prefill,6\nb,full,decode,2\nb,a,prefill,4\nx,a,decode,9\n"
    )
    assert flops_ratios(path, "b", "full") == {"full": 1.0, "a": 0.5}
    assert flops_ratios(path, "x", "full") == {}
    write_text(path, "backbone,method\nb,full\n")
    with pytest.raises(PruneProofError, match=r"flops\.csv cannot be read"):
        flops_ratios(path, "b", "full")
    path.unlink()
    with pytest.raises(PruneProofError, match="dvc repro measure_costs"):
        flops_ratios(path, "b", "full")
