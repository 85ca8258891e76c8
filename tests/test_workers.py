"""Work on several processes: in order, and never further ahead than the workers are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pruneproof.workers import run_in_order


def double(number: int) -> int:
    return 2 * number


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_results_come_in_the_order_of_the_tasks(workers: int, count: int) -> None:
    assert list(run_in_order(double, range(count), workers)) == [(n, 2 * n) for n in range(count)]


def test_tasks_are_taken_only_when_workers_are_nearly_free() -> None:
    taken: list[int] = []

    def tasks() -> Iterator[int]:
        for number in range(30):
            taken.append(number)
            yield number

    for done, _ in enumerate(run_in_order(double, tasks(), workers=2), start=1):
        assert len(taken) <= done + 4
    assert len(taken) == 30
