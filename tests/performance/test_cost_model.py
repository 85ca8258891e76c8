from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from performance._cost_watch import Watch
from performance.cost_model import BOTH, CASES, Case, compared, factor, grouped, run, study_of


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def spend(self, seconds: float) -> None:
        self.now += seconds


def test_a_part_inside_another_is_not_counted_twice() -> None:
    clock = Clock()
    watch = Watch(clock)
    inner = watch.timed("inner", lambda: clock.spend(2.0))

    def work() -> None:
        clock.spend(1.0)
        inner()
        inner()
        clock.spend(0.5)

    watch.timed("outer", work)()
    assert watch.seconds == {"outer": 1.5, "inner": 4.0}


def test_steps_after_the_first_token_are_decoding() -> None:
    clock = Clock()
    watch = Watch(clock)

    def greedy(first: str, eos: str, longest: int, advance: Callable[[], None]) -> str:
        clock.spend(3.0)
        for _ in range(longest):
            advance()
        return first

    assert watch.timed("prefill", watch.decoding(greedy))("yes", "", 2, lambda: clock.spend(0.25)) == "yes"
    assert watch.seconds == {"prefill": 3.0, "decode": 0.5}


def test_a_failure_ends_its_part() -> None:
    watch = Watch(Clock())

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        watch.timed("part", fail)()
    assert watch.timed("next", lambda: 1)() == 1
    assert watch._inside == []


def test_calibration_changes_no_part_by_more_than_twice() -> None:
    assert factor(2.0, 3.0) == 1.5
    assert factor(1.0, 9.0) == 2.0
    assert factor(9.0, 1.0) == 0.5
    assert factor(0.0, 1.0) == factor(1.0, 0.0) == 1.0


def test_a_prediction_is_held_against_what_it_took() -> None:
    foretold = grouped({"pictures read": 1.0, "vision tower": 2.0, "prefill": 5.0, "around": 1.0, "decode": 0.1})
    assert foretold["encode"] == 3.0
    assert foretold["prefill"] == 6.0
    found = compared(CASES[0], foretold, {"encode": 2.0, "prefill": 8.0, "decode": 0.1, "total": 10.1})
    assert found["ratio_by_part"] == {"encode": 1.5, "prefill": 0.75}  # decoding took a hundredth
    assert found["ratio"] == pytest.approx(9.1 / 10.1, abs=1e-3)
    assert found["within"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_every_case_is_a_valid_study(case: Case) -> None:
    study = study_of(case, 10)
    assert "full" in study.methods
    assert study.benchmark.images == max(2, round(10 * case.size))


@pytest.mark.slow
def test_a_study_is_timed_by_part_with_one_worker_and_whole_with_two(tmp_path: Path) -> None:
    study = study_of(Case("two conditions or more, for two workers", BOTH, corruptions=("contrast",)), 2)
    for workers in (1, 2):
        (tmp_path / str(workers)).mkdir()
    one, two = (run(study, tmp_path / str(workers), workers) for workers in (1, 2))
    parts = {"encode", "selection", "text tower", "connector", "prefill", "decode"}
    assert set(one) == parts | {"total"}
    assert one["total"] == pytest.approx(sum(one[part] for part in parts))
    assert min(one.values()) > 0
    assert set(two) == {"total", "processor of each worker"}
    assert min(two.values()) > 0
