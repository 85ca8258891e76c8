"""The files that a benchmark declares to read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from pruneproof.benchmarks import Need, input_files, scenes, stage
from pruneproof.errors import PruneProofError
from pruneproof.folders import Folders
from pruneproof.settings import BenchmarkSettings, Study


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pictures" / "deep").mkdir(parents=True)
    (tmp_path / "pictures" / ".cache").mkdir()
    for name in ("questions.json", "pictures/b.png", "pictures/deep/a.png", "pictures/.cache/x", "other.json"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_a_benchmark_without_the_function_reads_nothing(tmp_path: Path) -> None:
    assert input_files(BenchmarkSettings(name="scenes"), tmp_path) == ()


def test_folders_give_their_files_and_paths_are_seen_from_the_study(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        scenes,
        "needs",
        lambda options: [Need("questions.json", "https://x", 0), Need("pictures", "", 0)],
        raising=False,
    )
    found = input_files(BenchmarkSettings(), folder)
    assert [str(path.relative_to(folder)) for path in found] == [
        "pictures/b.png",
        "pictures/deep/a.png",
        "questions.json",
    ]


def test_a_missing_file_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "needs", lambda options: [Need("answers.json", "https://x.org/a", 0)], raising=False)
    with pytest.raises(
        PruneProofError, match=r"benchmark scenes reads .*answers\.json, which is missing: add it .https://x.org/a"
    ):
        input_files(BenchmarkSettings(), folder)


def test_the_manifest_holds_their_digests(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "needs", lambda options: [Need("questions.json", "https://x", 0)], raising=False)
    study = Study.model_validate(
        {"study": {"name": "tiny"}, "benchmark": {"images": 2}, "backbones": {}, "methods": {}}
    )
    stage.run(study, Folders(folder))
    manifest = json.loads((Folders(folder).benchmark / "manifest.json").read_text())
    assert (manifest["card"]["title"], manifest["card"]["licence"]) == ("Scenes", "Apache-2.0, as this project")
    assert manifest["files"] == {"questions.json": hashlib.sha256(b"questions.json").hexdigest()}
