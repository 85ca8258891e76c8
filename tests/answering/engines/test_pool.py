"""Several devices of one machine, each with a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pruneproof import workers
from pruneproof.answering import worker
from pruneproof.answering.engines import pool
from pruneproof.folders import Folders


def own_number(_: int) -> int:
    return workers.number()


def test_workers_are_numbered_from_nought() -> None:
    assert workers.number() == 0
    found = {number for _, number in workers.run_in_order(own_number, range(40), 3, start="fork")}
    assert found <= {0, 1, 2}
    assert len(found) > 1


@pytest.mark.slow
def test_listed_devices_answer_side_by_side_with_the_same_bytes(
    answer: Callable[..., bytes], folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = answer("atp_25")
    folders.cells.rename(tmp_path / "aside")
    monkeypatch.setenv("PRUNEPROOF_DEVICE", "cpu,cpu")
    monkeypatch.setattr(pool, "load", lambda _: pytest.fail("fresh processes load their own models"))
    monkeypatch.setattr(worker, "load", lambda _: pytest.fail("nothing is answered in this process"))
    assert answer("atp_25") == expected
