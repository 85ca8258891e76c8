"""Which random entries draw a curve, and what their mixture scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.scoring.controls import at_cost, controls_beside, curve_entries
from pruneproof.settings import MethodSettings

METHODS: dict[str, dict[str, Any]] = {
    "full": {"method": "full"},
    "inside": {"method": "random", "keep": 0.25, "door": "language", "layer": 1},
    "half": {"method": "random", "keep": 0.5},
    "cheat": {"method": "random", "keep": 0.5, "rank_from": "clean"},
    "tenth": {"method": "random", "keep": 0.1},
    "atp": {"method": "atp", "keep": 0.1},
}


def settings(**methods: dict[str, Any]) -> dict[str, MethodSettings]:
    return {name: MethodSettings.model_validate(own) for name, own in methods.items()}


def test_a_curve_has_one_door_that_where_most_random_entries_act() -> None:
    assert curve_entries(settings(**METHODS)) == ["half", "tenth"]
    assert curve_entries(settings(full=METHODS["full"], inside=METHODS["inside"])) == ["inside"]
    assert curve_entries(settings(full=METHODS["full"])) == []


def test_controls_act_at_a_methods_own_door_if_there_are_any() -> None:
    chosen = settings(**METHODS)
    assert controls_beside(chosen, "language") == ["inside"]
    assert controls_beside(chosen, "before_connector") == ["half", "tenth"]
    assert controls_beside(chosen, "tower") == ["half", "tenth"], "nothing random is in the tower"


def test_between_two_controls_their_mixture_counts() -> None:
    costs, scores = np.array([1.0, 0.4, 0.6]), np.array([[90.0, 80.0], [60.0, 50.0], [70.0, 40.0]])
    assert at_cost(0.5, costs, scores).tolist() == [65.0, 45.0]
    assert at_cost(0.9, costs, scores).tolist() == [85.0, 70.0]
    assert at_cost(0.6, costs, scores).tolist() == [70.0, 40.0]


def test_nothing_is_guessed_below_the_cheapest_and_the_dearest_may_always_be_taken() -> None:
    costs, scores = np.array([0.4, 1.0]), np.array([[60.0], [90.0]])
    assert np.isnan(at_cost(0.39, costs, scores)).all()
    assert at_cost(0.4, costs, scores).tolist() == [60.0]
    assert at_cost(1.2, costs, scores).tolist() == [90.0]


def test_controls_of_one_cost_count_together() -> None:
    assert at_cost(0.5, np.array([0.5, 0.5, 1.0]), np.array([[60.0], [70.0], [90.0]])).tolist() == [65.0]


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 100)), min_size=1, max_size=6), st.integers(1, 25))
def test_a_mixture_lies_between_its_parts(points: list[tuple[int, int]], cost: int) -> None:
    costs, scores = (np.array(column, float) for column in zip(*points, strict=True))
    (found,) = at_cost(cost, costs, scores[:, None])
    if cost < costs.min():
        assert np.isnan(found)
    else:
        assert scores.min() <= found <= scores.max()
        places = np.unique(costs)
        means = [scores[costs == place].mean() for place in places]
        assert found == pytest.approx(np.interp(cost, places, means))
