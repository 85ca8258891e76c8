"""A Ray of this machine: it starts with a run and ends with it, however that ends, and leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pruneproof.folders import Folders
from pruneproof.settings import Study

pytest.importorskip("ray")
pytestmark = pytest.mark.slow


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """A folder for temporary files whose name is long and has blanks."""
    place = tmp_path / "a folder for temporary files whose name has blanks and is too long for a socket"
    place.mkdir()
    return place


def start(study: Study, folders: Folders, temporary: Path) -> subprocess.Popen[str]:
    """The stage as DVC would run it, with a Ray of its own."""
    folders.params.write_text(json.dumps(study.model_dump(mode="json", exclude_defaults=True)))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "PRUNEPROOF_"))}
    own = {"PRUNEPROOF_ENGINE": "ray", "PRUNEPROOF_WORKERS": "1", "PRUNEPROOF_DEVICE": "cpu", "TMPDIR": str(temporary)}
    return subprocess.Popen(
        [sys.executable, "-m", "pruneproof", "answer_questions", "--backbone", "tiny"],
        cwd=folders.study,
        env=kept | own | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    )


def ray_folders(processes: list[psutil.Process]) -> set[Path]:
    """The folders that Ray's processes name."""
    found = set[Path]()
    for process in processes:
        for part in process.cmdline():
            name, _, value = part.partition("=")
            if name == "--session_dir":
                found.add(Path(value).parent)
    return found


def test_one_line_on_the_terminal_and_the_tables_of_the_study(study: Study, folders: Folders, temporary: Path) -> None:
    run = start(study, folders, temporary)
    out, err = run.communicate(timeout=150)
    assert run.returncode == 0, err
    lines = [line for line in err.splitlines() if line.strip() and not line.startswith("answering tiny")]
    assert out == ""
    assert len(lines) == 1
    assert lines[0].startswith("answering on Ray on this machine (1 node, ")
    assert {path.stem for path in folders.answers.rglob("*.parquet")} == set(study.methods)
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_a_run_that_is_ended(
    study: Study, folders: Folders, temporary: Path, ending: signal.Signals
) -> None:
    run = start(study, folders, temporary)
    own, everything, deadline = psutil.Process(run.pid), list[psutil.Process](), time.monotonic() + 120
    while not any("raylet" in process.name() for process in everything):
        assert run.poll() is None, run.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.5)
        everything = own.children(recursive=True)
    places = ray_folders(everything)
    assert places
    # As a terminal does: all processes of the foreground get the signal.
    if ending == signal.SIGINT:
        os.killpg(run.pid, ending)
    else:
        run.kill()
    _, err = run.communicate(timeout=60)
    assert psutil.wait_procs(everything, timeout=60)[1] == []
    assert not any(place.exists() for place in places)
    if ending == signal.SIGINT:
        assert run.returncode == 130
        assert err.rstrip().endswith("pruneproof answer_questions: interrupted; finished work is kept")
