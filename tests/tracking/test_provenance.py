from __future__ import annotations

import subprocess
from pathlib import Path

from pruneproof.folders import Folders
from pruneproof.provenance import folder_digest
from pruneproof.tracking.provenance import data_digests, git_tags


def test_a_folders_digest_depends_on_names_and_contents(tmp_path: Path) -> None:
    assert folder_digest(tmp_path) == ""
    (tmp_path / "a").write_text("1")
    first = folder_digest(tmp_path)
    (tmp_path / ".gitignore").write_text("not data")
    assert folder_digest(tmp_path) == first
    (tmp_path / "a").rename(tmp_path / "b")
    renamed = folder_digest(tmp_path)
    (tmp_path / "b").write_text("2")
    assert len({first, renamed, folder_digest(tmp_path)}) == 3


def test_missing_data_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "data" / "reworded").mkdir(parents=True)
    (tmp_path / "data" / "reworded" / "questions.parquet").write_text("x")
    assert list(data_digests(Folders(tmp_path))) == ["data.reworded"]


def test_only_code_and_settings_make_a_commit_dirty(tmp_path: Path) -> None:
    assert git_tags(tmp_path) == {}
    (tmp_path / "src").mkdir()
    for name in ("src/code.py", "params.yaml", "dvc.lock"):
        (tmp_path / name).write_text("1")
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "x"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    (tmp_path / "dvc.lock").write_text("2")
    tags = git_tags(tmp_path)
    assert len(tags["git_commit"]) == 40
    assert tags["dirty"] == "no"
    (tmp_path / "src" / "code.py").write_text("2")
    assert git_tags(tmp_path)["dirty"] == "yes"
