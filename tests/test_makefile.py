"""The Makefile's own logic, with stand-ins for Python and DVC that note how they are called."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
NAMES = ["plain", "my clone", "a  b", "what?", "100%20", "o'clock", "[x]*"]
STAND_IN = """\
#!/bin/bash
echo "$(basename "$0") $* in $(basename "$PWD")" >> "$NOTES"
"""


def clone(folder: Path) -> Path:
    """A project of two studies with an environment in which nothing is installed."""
    (folder / "studies" / "small").mkdir(parents=True)
    for name in ("Makefile", "requirements.lock"):
        shutil.copy(PROJECT / name, folder)
    for study in (folder, folder / "studies" / "small"):
        (study / "params.yaml").touch()
    binaries = folder / ".venv" / "bin"
    binaries.mkdir(parents=True)
    for name in ("python", "dvc", "ruff"):
        (binaries / name).write_text(STAND_IN, encoding="utf-8")
        (binaries / name).chmod(0o755)
    return folder


def make(folder: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """What make did, and the calls that the stand-ins noted."""
    notes = folder.parent / "notes"
    notes.write_text("", encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "VENV")}
    done = subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=kept | {"NOTES": str(notes), "PYTHON": "python3"},
        text=True,
        capture_output=True,
        timeout=60,
    )
    return done, notes.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("name", NAMES)
def test_any_path_will_do(tmp_path: Path, name: str) -> None:
    folder = clone(tmp_path / name)
    done, calls = make(folder, "repro")
    assert done.returncode == 0, done.stderr
    assert calls[0].startswith("python -m pip --version")
    assert [call.split(" in ")[0] for call in calls[-5:]] == [
        "python -m pruneproof check --quick",
        "python -m pruneproof prepare",
        "dvc repro write_report",
        "dvc repro --single-item record_runs",
        "python -m pruneproof summary",
    ]
    assert sum("pip install" in call for call in calls) == 2
    assert {path.name for path in tmp_path.iterdir()} == {name, "notes"}
    _, again = make(folder, "repro")
    assert again == calls[-5:]


def test_a_changed_lock_installs_anew(tmp_path: Path) -> None:
    folder = clone(tmp_path / "clone")
    make(folder, "setup")
    with (folder / "requirements.lock").open("a", encoding="utf-8") as lock:
        lock.write("# only a comment\n")
    assert make(folder, "setup")[1] == []
    with (folder / "requirements.lock").open("a", encoding="utf-8") as lock:
        lock.write("another==1.0\n")
    assert sum("pip install" in call for call in make(folder, "setup")[1]) == 2
    assert len(list((folder / ".venv").glob(".installed-*"))) == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_study_may_have_any_name(tmp_path: Path, name: str) -> None:
    folder = clone(tmp_path / "clone")
    (folder / "studies" / name).mkdir()
    (folder / "studies" / name / "params.yaml").touch()
    done, calls = make(folder, "repro", f"STUDY={name}")
    assert done.returncode == 0, done.stderr
    assert calls[-2] == f"dvc repro --single-item record_runs in {name}"


def test_results_are_shown_though_they_cannot_be_recorded(tmp_path: Path) -> None:
    folder = clone(tmp_path / "clone")
    dvc = folder / ".venv" / "bin" / "dvc"
    dvc.write_text(STAND_IN + '\n[[ "$*" != *record_runs ]]\n', encoding="utf-8")
    done, calls = make(folder, "repro")
    assert done.returncode == 2
    assert calls[-1].startswith("python -m pruneproof summary in ")


@pytest.mark.parametrize("target", ["repro", "check", "plan", "summary", "ui"])
def test_an_unknown_study_is_said_in_one_line(tmp_path: Path, target: str) -> None:
    done, calls = make(clone(tmp_path / "clone"), target, "STUDY=nope")
    assert done.returncode == 2
    assert calls == []
    assert "There is no study 'nope'" in done.stderr.splitlines()[0]
    assert "Studies: default small" in done.stderr


def test_plan_passes_its_options_on(tmp_path: Path) -> None:
    done, calls = make(clone(tmp_path / "clone"), "plan", "MACHINE=h100", "ARGS=--share 0.3")
    assert done.returncode == 0
    assert calls[-1].startswith("python -m pruneproof plan --machine h100 --share 0.3 in ")


def test_ci_runs_the_tests_as_the_readme_says() -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    commands = readme.split("```console")[1].split("```")[0]
    assert "$ make repro " in commands
    assert "$ make test " in commands
    assert "\nmake test\n" in (PROJECT / ".ci/run").read_text(encoding="utf-8")
