"""Whatever keeps DVC from starting is shown with DVC itself, then fixed."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pruneproof import pipeline, prepare
from pruneproof.errors import PruneProofError

PROJECT = Path(__file__).parents[1]
STAGE = """\
stages:
  note:
    matrix: {backbone: "${backbones}"}
    cmd: echo ${item.backbone} > ${item.backbone}.txt
    params: [study.seed, answering, "backbones.${item.backbone}"]
    outs: ["${item.backbone}.txt"]
"""
PARAMS = """\
study: {name: tiny, root: ., seed: 1}
backbones: {one: {family: llava, checkpoint: here, text_tower: there}}
methods: {full: {method: full}}
answering: {}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project under DVC with a default study and two others; every study takes DVC a moment."""
    root = tmp_path / "project"
    shutil.copytree(PROJECT / ".dvc", root / ".dvc", ignore=shutil.ignore_patterns("tmp", "cache", "config.local"))
    for folder in (root, root / "studies/mine", root / "studies/yours"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "dvc.yaml").write_text(STAGE, encoding="utf-8")
        (folder / "params.yaml").write_text(PARAMS, encoding="utf-8")
    (root / ".git").mkdir()
    return root


def dvc(folder: Path) -> subprocess.CompletedProcess[str]:
    shown = os.environ | {"DVC_NO_ANALYTICS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(["dvc", "repro"], cwd=folder, env=shown, text=True, capture_output=True, timeout=120)


def test_a_project_in_order_is_left_as_it_is(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    prepare.report(project)
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_a_download_without_git_runs(project: Path) -> None:
    (project / ".git").rmdir()
    assert dvc(project).returncode != 0
    prepare.report(project)
    assert dvc(project).returncode == 0
    (project / ".git").mkdir()
    prepare.report(project)
    assert not (project / ".dvc/config.local").exists()


def test_a_configuration_of_the_users_own_is_left_alone(project: Path) -> None:
    (project / ".git").rmdir()
    config = project / ".dvc/config.local"
    config.write_text("[core]\n    no_scm = true\n", encoding="utf-8")
    assert prepare.without_git(project) is None
    (project / ".git").mkdir()
    assert prepare.without_git(project) is None
    assert config.exists()


def locked(project: Path, content: str) -> Path:
    table = project / ".dvc/tmp/rwlock"
    table.parent.mkdir()
    table.write_text(content, encoding="utf-8")
    return table


@pytest.mark.slow
def test_dvc_goes_on_after_an_empty_lock(project: Path) -> None:
    (project / ".git").rmdir()
    prepare.without_git(project)
    locked(project, "")
    assert "corrupted" in dvc(project).stderr
    prepare.report(project)
    assert dvc(project).returncode == 0


@pytest.mark.parametrize("content", ["", '{"write": {"/a"', "[]", '{"write": {"/a": {}}}', '{"read": {"/a": [1]}}'])
def test_a_torn_lock_is_removed(project: Path, content: str) -> None:
    table = locked(project, content)
    assert prepare.dead_locks(project)
    assert not table.exists()


def test_a_lock_is_kept_only_while_its_dvc_runs(project: Path) -> None:
    waits = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen([*waits, "dvc", "repro"]) as alive, subprocess.Popen(waits) as other:
        try:
            mine, reused = {"pid": alive.pid, "cmd": "dvc repro"}, {"pid": other.pid, "cmd": "dvc repro"}
            entries = {"write": {"/a": mine, "/b": reused}, "read": {"/c": [reused, mine], "/d": [reused]}}
            table = locked(project, json.dumps(entries))
            assert prepare.dead_locks(project)
            assert json.loads(table.read_text(encoding="utf-8")) == {"write": {"/a": mine}, "read": {"/c": [mine]}}
            assert prepare.dead_locks(project) is None
        finally:
            alive.kill()
            other.kill()


def test_a_lock_that_dvc_is_writing_is_not_touched(project: Path) -> None:
    table = locked(project, "")
    with (project / ".dvc/tmp/rwlock.lock").open("a") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        assert prepare.dead_locks(project) is None
    assert table.exists()


@pytest.mark.parametrize("cut", [0, 7, 12, 30, 48, 55, -1])
def test_a_torn_lock_file_is_removed(project: Path, cut: int) -> None:
    path = project / "dvc.lock"
    path.write_text("schema: '2.0'\nstages:\n  a:\n    cmd: x\n    outs:\n    - path: y\n"[:cut], encoding="utf-8")
    assert prepare.torn_lock_file(project)
    assert not path.exists()


@pytest.mark.slow
def test_a_torn_lock_file_costs_costs_no_stage_its_work(project: Path) -> None:
    (project / ".git").rmdir()
    prepare.without_git(project)
    assert dvc(project).returncode == 0
    whole = (project / "dvc.lock").read_bytes()
    (project / "dvc.lock").write_bytes(whole[: whole.index(b"md5") + 2])
    assert dvc(project).returncode != 0
    prepare.report(project)
    again = dvc(project)
    assert again.returncode == 0
    assert "is cached - skipping run" in again.stdout
    assert (project / "dvc.lock").read_bytes() == whole
    assert prepare.torn_lock_file(project) is None


def test_a_new_study_is_given_the_pipeline(project: Path) -> None:
    study = project / "studies/new"
    study.mkdir()
    (study / "params.yaml").write_text(PARAMS, encoding="utf-8")
    assert prepare.own_pipeline(study)
    assert (study / "dvc.yaml").read_text(encoding="utf-8") == STAGE
    assert prepare.own_pipeline(study) is None
    (study / "dvc.yaml").write_text(STAGE + "# mine\n", encoding="utf-8")
    assert "differs" in str(prepare.own_pipeline(study))


BROKEN = {
    "no YAML": "study: [",
    "no mapping": "- 1\n",
    "a key twice": PARAMS + "answering: {}\n",
    "a section left out": PARAMS.replace("answering: {}\n", ""),
    "no root": PARAMS.replace("seed: 1", "").replace("root: ., ", ""),
    "no backbones": PARAMS.replace("backbones: {", "backbone: {"),
    "backbones of the wrong type": PARAMS.replace("backbones: {one", "backbones: 3 #"),
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=list(BROKEN))
def test_a_broken_study_is_told_from_a_whole_one(project: Path, text: str) -> None:
    (project / "params.yaml").write_text(text, encoding="utf-8")
    assert str(project / "params.yaml") in str(pipeline.fault(project))


@pytest.mark.slow
@pytest.mark.parametrize("text", [BROKEN["no YAML"], BROKEN["no backbones"]])
def test_a_broken_study_does_not_block_the_others(project: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (project / ".git").rmdir()
    prepare.without_git(project)
    name = "[your] study*"
    (project / "studies/yours").rename(project / "studies" / name)
    other = project / "studies" / name / "params.yaml"
    other.write_text(text, encoding="utf-8")
    prepare.report(project / "studies/mine")
    said = capsys.readouterr().err.splitlines()[-1]
    assert name in said
    assert "make check STUDY=" in said
    prepare.report(project / "studies/mine")
    assert capsys.readouterr().err == ""  # said once
    done = dvc(project / "studies/mine")
    assert done.returncode == 0, done.stderr
    other.write_text(PARAMS, encoding="utf-8")
    prepare.report(other.parent)
    assert dvc(other.parent).returncode == 0


def test_what_is_wrong_with_a_pipeline_has_its_line(project: Path) -> None:
    (project / "dvc.yaml").write_text("stages:\n\ta: 1\n", encoding="utf-8")
    assert "dvc.yaml is not a pipeline (line 2: found character" in str(pipeline.fault(project))


@pytest.mark.parametrize("text", ["", "stages: [", "- 1", "stages: {a: 1}"])
def test_a_broken_pipeline_is_seen(project: Path, text: str) -> None:
    (project / "dvc.yaml").write_text(text, encoding="utf-8")
    assert "is not a pipeline" in str(pipeline.fault(project))


def test_of_a_whole_study_there_is_nothing_to_say(project: Path) -> None:
    assert pipeline.fault(project) is None


def test_what_the_pipeline_follows_must_be_written_out(project: Path) -> None:
    (project / "params.yaml").write_text(BROKEN["a section left out"], encoding="utf-8")
    assert "answering" in str(pipeline.fault(project))
    assert "`answering: {}`" in str(pipeline.fault(project))


def test_a_folder_outside_any_project_is_said(tmp_path: Path) -> None:
    with pytest.raises(PruneProofError, match="is not inside a project"):
        prepare.report(tmp_path)
