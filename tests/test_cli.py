from __future__ import annotations

import ast
import errno
import importlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pruneproof import cli
from pruneproof.errors import PruneProofError
from pruneproof.folders import Folders
from pruneproof.study import load_study

PROJECT = Path(__file__).parents[1]
SMALL = PROJECT / "studies" / "small"


def called_with(monkeypatch: pytest.MonkeyPatch, error: BaseException | None = None) -> list[tuple[Any, ...]]:
    """Replace every stage's body by one that notes its arguments."""
    calls: list[tuple[Any, ...]] = []

    def run(*positional: Any, **named: Any) -> None:
        calls.append((*positional, named))
        if error:
            raise error

    monkeypatch.setattr(cli, "importlib", SimpleNamespace(import_module=lambda name: SimpleNamespace(run=run)))
    return calls


def test_a_full_disk_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    called_with(monkeypatch, OSError(errno.ENOSPC, "No space left on device"))
    assert cli.main(["draw_scenes", "--study", str(SMALL)]) == 2
    said = "pruneproof draw_scenes: no space left on the disk; free some and run it again\n"
    assert capsys.readouterr().err == said
    called_with(monkeypatch, PermissionError(errno.EACCES, "Permission denied"))
    with pytest.raises(PermissionError):
        cli.main(["draw_scenes", "--study", str(SMALL)])


@pytest.mark.parametrize(
    ("number", "said"), [(errno.EDQUOT, "no space left"), (errno.EFBIG, "ulimit -f"), (errno.EROFS, "only be read")]
)
def test_other_faults_of_the_disk_are_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, said: str
) -> None:
    called_with(monkeypatch, OSError(number, "whatever"))
    assert cli.main(["draw_scenes", "--study", str(SMALL)]) == 2
    told = capsys.readouterr().err
    assert told.startswith("pruneproof draw_scenes: ")
    assert said in told
    assert told.count("\n") == 1


def test_being_terminated_is_said_in_one_line_and_the_signal_is_left_as_it_was(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(cli, "importlib", SimpleNamespace(import_module=lambda name: SimpleNamespace(run=run)))
    assert cli.main(["draw_scenes", "--study", str(SMALL)]) == 143
    assert capsys.readouterr().err == "pruneproof draw_scenes: terminated; finished work is kept\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_stage_gets_an_absolute_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = called_with(monkeypatch)
    monkeypatch.chdir(SMALL)
    assert cli.main(["draw_scenes"]) == 0
    assert calls[0][1].study == SMALL.absolute()


OWN_OPTIONS = {"answer_questions": ["backbone"], "train_backbone": ["name"], "train_decisions": ["name"]}


@pytest.mark.parametrize("stage", [name for name in cli.STAGES if name not in OWN_OPTIONS])
def test_a_stage_gets_the_study_and_its_folders(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study = load_study(SMALL)
    calls = called_with(monkeypatch)
    assert cli.main([stage, "--study", str(SMALL)]) == 0
    assert calls == [(study, Folders(SMALL), {})]


def test_answering_gets_its_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    study = load_study(SMALL)
    calls = called_with(monkeypatch)
    assert cli.main(["answer_questions", "--study", str(SMALL), "--backbone", "builtin_llava"]) == 0
    assert calls == [(study, Folders(SMALL), {"backbone": "builtin_llava"})]


def test_training_gets_the_name_of_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    study = load_study(SMALL)
    calls = called_with(monkeypatch)
    assert cli.main(["train_backbone", "--study", str(SMALL), "--name", "builtin_blip2"]) == 0
    assert calls == [(study, Folders(SMALL), {"name": "builtin_blip2"})]


def test_an_unknown_backbone_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    load_study(SMALL)
    calls = called_with(monkeypatch)
    assert cli.main(["answer_questions", "--study", str(SMALL), "--backbone", "llava"]) == 2
    assert calls == []
    assert "--backbone is 'llava', which params.yaml does not have: builtin_llava" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (PruneProofError("the picture is gone"), 2, "pruneproof draw_scenes: the picture is gone\n"),
        (KeyboardInterrupt(), 130, "pruneproof draw_scenes: interrupted; finished work is kept\n"),
    ],
)
def test_what_a_user_can_mend_has_no_traceback(
    error: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load_study(SMALL)
    called_with(monkeypatch, error)
    assert cli.main(["draw_scenes", "--study", str(SMALL)]) == code
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("command", ["check", "plan", "summary", "prepare"])
def test_nothing_is_said_to_be_kept_where_nothing_is_made(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"pruneproof.{command}.report", interrupted)
    assert cli.main([command, "--study", str(SMALL)]) == 130
    assert capsys.readouterr().err == f"pruneproof {command}: interrupted\n"


def test_a_defect_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    load_study(SMALL)
    called_with(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        cli.main(["draw_scenes", "--study", str(SMALL)])


@pytest.mark.parametrize("stage", cli.STAGES)
def test_every_stage_has_a_body(stage: str) -> None:
    """Read, not imported: some bodies take seconds to load torch."""
    origin = importlib.util.find_spec(cli.STAGES[stage][0])
    assert origin is not None
    assert origin.origin is not None
    tree = ast.parse(Path(origin.origin).read_text())
    run = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "run")
    expected = ["study", "folders", *OWN_OPTIONS.get(stage, [])]
    assert [argument.arg for argument in run.args.args + run.args.kwonlyargs] == expected


@pytest.mark.parametrize("name", [name for name in cli.LOOKS if name != "check"])
def test_every_look_has_a_report(name: str) -> None:
    assert callable(importlib.import_module(f"pruneproof.{name}").report)


@pytest.mark.parametrize("room", ["benchmarks.stage", "scoring.stage", "tracking", "reporting.stage", "plan", "check"])
def test_rooms_without_models_open_without_torch(room: str) -> None:
    code = f"import sys, pruneproof.{room}; print('torch' in sys.modules)"
    env = os.environ | {"PYTHONPATH": str(PROJECT / "src")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr


def test_wrong_settings_end_a_stage_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("study: {name: x}\nmethods: {}\n")
    env = os.environ | {"PYTHONPATH": str(PROJECT / "src")}
    command = [sys.executable, "-m", "pruneproof", "draw_scenes"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 2
    assert "params.yaml has 3 problems:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_for_params_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "params.yaml").mkdir()
    assert cli.main(["plan", "--study", str(tmp_path)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"pruneproof plan: {tmp_path / 'params.yaml'} cannot be read (Is a directory): it must be a file of settings"
    ]


def test_a_file_for_a_folder_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").touch()
    called_with(monkeypatch, FileExistsError(errno.EEXIST, "File exists", str(tmp_path / "data")))
    assert cli.main(["draw_scenes", "--study", str(SMALL)]) == 2
    assert capsys.readouterr().err == f"pruneproof draw_scenes: {tmp_path / 'data'}: File exists\n"
