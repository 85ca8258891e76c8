"""How `python -m pruneproof` ends: at once, with the code that the command has, and nothing of what it said lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SPOILT = """
import atexit, runpy, sys
import pruneproof.cli

def main():
    atexit.register(lambda: print("put away"))
    print("said", end="")
    {end}

pruneproof.cli.main = main
runpy.run_module("pruneproof", run_name="__main__")
"""


def ended(end: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SPOILT.format(end=end)]
    return subprocess.run(command, text=True, stderr=subprocess.PIPE, **{"stdout": subprocess.PIPE, **kwargs})  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("return 0", 0),
        ("return 2", 2),
        ("raise SystemExit(2)", 2),
        ("raise SystemExit", 0),
        ("raise SystemExit('why')", 1),
        ("raise OSError('no')", 1),
    ],
)
def test_the_process_has_the_codes_of_the_command_and_what_others_put_away_is_put_away(end: str, code: int) -> None:
    done = ended(end)
    assert done.returncode == code
    assert done.stdout == "saidput away\n"
    assert ("OSError: no" in done.stderr) == ("OSError" in end)
    assert (done.stderr == "why\n") == ("why" in end)


def test_an_interrupt_while_python_still_loads_is_told_in_one_line() -> None:
    done = ended("raise KeyboardInterrupt")
    assert (done.returncode, done.stderr) == (130, "pruneproof: interrupted\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_what_could_not_be_written_is_not_called_well() -> None:
    with open("/dev/full", "w") as full:
        assert ended("return 0", stdout=full).returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_help_that_could_not_be_written_is_not_called_well(unbuffered: str) -> None:
    command = [sys.executable, "-m", "pruneproof", "plan", "--help"]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert ("no space left on the disk" in done.stderr) == bool(unbuffered)
    assert "Traceback" not in done.stderr
