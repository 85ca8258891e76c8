"""How a method compares with the curve of random pruning."""

from __future__ import annotations

import numpy as np
import pytest

from pruneproof.scoring.stability import Standing

CLEAN = {"full": 0.9, "random": 0.8, "blind": 0.6, "worse": 0.5, "seeing": 0.7}
PERTURBED = {"full": 0.8, "random": 0.7, "blind": 0.6, "worse": 0.5, "seeing": 0.7}


@pytest.fixture
def standing() -> Standing:
    """One observed sample and three equal resamples, chance at 60%."""
    kinds = ({name: np.full(4, value) for name, value in kind.items()} for kind in (CLEAN, PERTURBED))
    return Standing(*kinds, chance=np.full(4, 0.6), images=40)


def test_a_method_that_sees_something_lies_above_the_curve(standing: Standing) -> None:
    """At 0.7, halfway from chance (0.6) to random pruning (0.8, 0.7), the curve is at 0.65."""
    found = standing.compared("seeing", ["random", "full"], 0.95)
    assert (found.predicted, found.value) == pytest.approx((65, 5))


@pytest.mark.parametrize("name", ["blind", "worse"])
def test_a_method_at_chance_has_no_effective_robustness(standing: Standing, name: str) -> None:
    assert np.isnan(standing.compared(name, ["random", "full"], 0.95)).all()
