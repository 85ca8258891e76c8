"""A part of the campaign of `performance.faults`; all of it is run by hand, and its results are docs/faults.md."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from performance.faults import _page, _trials, campaign
from performance.faults._pipeline import Ended
from performance.faults.campaign import NAMES, PROJECT, RESULTS

PART = {
    "kills": "3,9,12", "disk": "0,1,2,3,5,7,9", "mlflow": "1", "twins": "1", "clock": "3", "damage": "32",
    "mutations": "4,5,9",
}  # fmt: skip
"""Kind to the numbers of its trials, of all seven kinds: an interrupt, a kill of a worker and one of a stage; a full
disk in each stage that it stops, but the slow report; a silent server. It takes a processor two minutes, of which 40
seconds are for preparing."""


@pytest.fixture(scope="module")
def trials() -> list[dict[str, Any]]:
    """What came of a part of the campaign, in a process of its own: it forks, which a process with threads must not."""
    given = [f"{kind}={numbers}" for kind, numbers in PART.items()]
    environment = {**os.environ, "PYTHONPATH": f"{PROJECT / 'src'}{os.pathsep}{PROJECT}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "performance.faults", "--only", *given, "--json"],
        cwd=PROJECT, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=900,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.mark.slow
def test_what_is_promised_is_kept(trials: list[dict[str, Any]]) -> None:
    assert {trial["kind"] for trial in trials} == set(PART) == set(NAMES)
    assert [trial for trial in trials if any(trial[promise] for promise in _page.PROMISES)] == []


@pytest.mark.slow
def test_trials_disturb_something(trials: list[dict[str, Any]]) -> None:
    def told(kind: str) -> list[str]:
        return [trial["what"] for trial in trials if trial["kind"] == kind]

    assert sum("nothing was left to kill" not in what for what in told("kills")) >= 2, (
        "more may come too late on a busy machine"
    )
    assert all("failed" in what for what in told("disk") + told("mlflow"))
    assert sum("makes no difference" not in what for what in told("mutations")) == 2


LINE = "pruneproof draw_scenes: /a/images.parquet cannot be read: delete it and run `dvc repro`\n"


@pytest.mark.parametrize(
    ("code", "said", "wrong"),
    [
        (0, "drawn: a\n", ""),
        (2, f"drawn: a\n{LINE}", ""),
        (-9, "", ""),
        (2, "", "0 lines"),
        (2, LINE * 2, "2 lines"),
        (1, LINE, "exit code 1"),
        (70, f"Traceback (most recent call last):\n{LINE}", "Traceback"),
        (2, LINE.replace("/a/", "data/benchmark/"), "a relative path"),
    ],
)
def test_a_failure_is_told_in_one_clear_line(code: int, said: str, wrong: str) -> None:
    found = _trials.unclear(Ended(code, "draw_scenes", said))
    assert wrong in found
    assert bool(found) == bool(wrong)


def test_finished_work_that_is_gone_or_done_again_is_lost() -> None:
    assert _trials.lost({"a": 1, "b": 2}, {"a": 1, "b": 2, "c": 3}) == ""
    assert _trials.lost({"a": 1, "b": 2}, {"a": 1}) == "1 of 2 finished pieces, such as b"
    assert _trials.lost({"a": 1, "b": 2}, {"a": 1, "b": 3}) == "1 of 2 finished pieces, such as b"


def test_the_page_is_made_from_the_results() -> None:
    text = _page.page(json.loads(RESULTS.read_text(encoding="utf-8")), NAMES)
    assert (PROJECT / "docs/faults.md").read_text(encoding="utf-8") == text


def test_a_broken_promise_is_on_the_page() -> None:
    trial = {"number": 3, "what": "a kill", "lost": "1 cell", "stale": "", "unclear": "", "unequal": ""}
    page = _page.page({"kinds": {"kills": {"title": "Kills", "trials": [trial, {**trial, "lost": ""}]}}}, NAMES)
    assert "| Kills | 2 | 1 | 2 | 2 | 2 |" in page
    assert "- Kills, trial 3 (a kill): lost: 1 cell" in page


def test_what_is_kept_of_a_trial_does_not_say_where_it_was_made(tmp_path: Path) -> None:
    bench = _trials.Bench(tmp_path)
    trial = _trials.Trial(
        "damage", 3, "cut", unclear=f"{tmp_path}/at x", said=f"{bench.live.folder}/params.yaml is empty"
    )
    kept = _trials.ready_to_keep(trial, bench, 1.23)
    assert (kept.said, kept.unclear, kept.seconds) == ("params.yaml is empty", "/at x", 1.2)
    assert "/faults-" not in RESULTS.read_text(encoding="utf-8"), "the campaign's temporary folder"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["nosuch"], "'nosuch' must be one of kills, disk"),
        (["kills=x"], "'kills=x': trials are numbers"),
        (["kills=0", "kills=1"], "each at most once"),
    ],
)
def test_what_cannot_be_tried_is_refused_in_one_line(
    given: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["faults", "--only", *given])
    with pytest.raises(SystemExit) as ended:
        campaign.main()
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_kills_that_came_too_late_are_counted() -> None:
    trial = {"number": 3, "what": f"a kill, {_page.MISSED}", "lost": "", "stale": "", "unclear": "", "unequal": ""}
    page = _page.page({"kinds": {"kills": {"title": "Kills", "trials": [trial, {**trial, "what": "a kill"}]}}}, NAMES)
    assert "Of the kills, 1 came when nothing was left to kill." in page


@pytest.mark.parametrize(("numbers", "written"), [("0-2", ["kills"] * 3), ("0,2", []), ("7", [])])
def test_a_part_of_a_kind_takes_no_results_place(
    numbers: str, written: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trial(bench: _trials.Bench, number: int, rng: Random) -> _trials.Trial:
        return _trials.Trial("kills", number, "a kill")

    found: list[str] = []
    journal = tmp_path / "journal"
    journal.write_text("")
    monkeypatch.setattr("sys.argv", ["faults", "--only", f"kills={numbers}"])
    monkeypatch.setattr(campaign, "prepare", _trials.Bench)
    monkeypatch.setattr(campaign, "kind_of", lambda name: _trials.Kind(name, "Kills", 3, trial))
    monkeypatch.setattr(campaign, "JOURNAL", journal)
    monkeypatch.setattr(campaign, "_write", lambda kind, made, seed: found.append(kind.name))
    assert campaign.main() == 0
    assert found == written
    assert len(journal.read_text().splitlines()) == len(written)
