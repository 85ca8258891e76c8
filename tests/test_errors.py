"""A method's own defects name the method."""

from __future__ import annotations

import traceback

import pytest

from pruneproof.errors import of_method
from pruneproof.workers import run_in_order


class Mine:
    """Stands for a user's method."""


def broken(task: int) -> float:
    with of_method("mine_35", Mine()):
        return 1 / task


@pytest.mark.parametrize("workers", [1, 2])
def test_a_defect_keeps_its_traceback_and_ends_with_the_method(workers: int) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        list(run_in_order(broken, [0, 0], workers, start="fork"))
    told = "".join(traceback.format_exception(caught.value)).splitlines()
    assert told[-2:] == ["ZeroDivisionError: division by zero", "while method 'mine_35' (test_errors.py) ran"]
    assert "return 1 / task" in {line.strip() for line in told}
