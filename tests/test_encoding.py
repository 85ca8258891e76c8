"""Text is UTF-8 whatever the locale says: a machine whose locale is ASCII reads and writes the same files."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
SOURCES = sorted((PROJECT / "src").rglob("*.py"))
OTHERS = {"files", "Image", "os"}
"""Names whose `open` or `write_text` is not a path's."""


def opens_text(call: ast.Call) -> bool:
    """Whether a call reads or writes text in the encoding of the locale, unless it names one."""
    function = call.func
    name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
    owner = function.value.id if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) else None
    if owner in OTHERS:
        return False
    if name in ("read_text", "write_text"):
        return isinstance(function, ast.Attribute)
    if name == "open":
        modes = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
        modes += [key.value.value for key in call.keywords if key.arg == "mode" and isinstance(key.value, ast.Constant)]
        return not any(isinstance(mode, str) and "b" in mode for mode in modes)
    return name in ("run", "Popen", "check_output") and any(key.arg == "text" for key in call.keywords)


@pytest.mark.parametrize(
    "line", ["p.read_text()", "open(p)", "p.open('a')", "subprocess.run(x, text=True)", "f(x).open()"]
)
def test_text_without_an_encoding_is_seen(line: str) -> None:
    assert opens_text(ast.parse(line, mode="eval").body)  # type: ignore[arg-type]


@pytest.mark.parametrize("line", ["open(p, 'rb')", "p.open(mode='wb')", "files.write_text(p, t)", "write_text(p, t)"])
def test_bytes_and_our_own_writers_are_left_alone(line: str) -> None:
    assert not opens_text(ast.parse(line, mode="eval").body)  # type: ignore[arg-type]


def test_every_text_file_is_opened_with_an_encoding() -> None:
    found = [
        f"{path.relative_to(PROJECT)}:{call.lineno}"
        for path in SOURCES
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and opens_text(call) and not any(key.arg == "encoding" for key in call.keywords)
    ]
    assert found == []


def run(command: str, folder: Path) -> str:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONPATH": str(PROJECT / "src"), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-m", "pruneproof", command], cwd=folder, env=ascii_only, capture_output=True, timeout=300
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    return done.stdout.decode("ascii")


def test_an_ascii_locale_will_do(tmp_path: Path) -> None:
    folder = tmp_path / "b\u00fccher"
    shutil.copytree(PROJECT / "reports", folder / "reports", ignore=shutil.ignore_patterns("figures", "*.html"))
    assert "b??cher" in run("summary", folder)  # the two bytes of the letter, each unknown to the locale


@pytest.mark.slow
def test_an_ascii_locale_plans() -> None:
    assert "atp_25" in run("plan", PROJECT)
