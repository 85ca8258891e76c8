"""A part of the campaign of `performance.faults`; the whole of it is run by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from performance.faults import campaign


@pytest.mark.slow
def test_no_change_is_followed_by_a_stale_answer(tmp_path: Path) -> None:
    trials = list(campaign(20, 11, tmp_path))
    assert [trial for trial in trials if trial.verdict in ("stale", "asked for nothing")] == []
    assert len({trial.kind for trial in trials}) > 4
    assert sum(trial.mattered for trial in trials) > 5, "changes that change nothing would show nothing"
