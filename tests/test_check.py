from __future__ import annotations

import json
import shutil
import struct
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from pruneproof import check, pipeline, plan, ray_cluster, space
from pruneproof.backbones.checkpoints.headers import safetensors_fault
from pruneproof.benchmarks import Need, scenes
from pruneproof.check import Finding, findings, locked_versions
from pruneproof.errors import PruneProofError
from pruneproof.planning import report as planned

PROJECT = Path(__file__).parents[1]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_file({"a": np.ones((4, 3), np.float32), "b": np.zeros(5, np.int64)}, path)
    return path


@pytest.fixture
def study(tmp_path: Path, weights: Path) -> Path:
    """A study folder that is in order, with one backbone whose weights are a stand-in."""
    text = (PROJECT / "studies/small/params.yaml").read_text().replace("root: ../..", "root: .")
    tower = "text_tower: data/backbones/builtin_llava/clip"
    (tmp_path / "params.yaml").write_text(text.replace(tower, f"{tower}\n    control_{tower}_control"))
    folder = tmp_path / "data/backbones/builtin_llava"
    for name in ("clip", "clip_control"):
        (folder / name).mkdir(parents=True)
        shutil.copy(weights, folder / name / "open_clip_model.safetensors")
        (folder / name / "open_clip_config.json").write_text("{}")
    weights.rename(folder / "model.safetensors")
    for name in ("config.json", "preprocessor_config.json", "tokenizer.json"):
        (folder / name).write_text("{}")
    (tmp_path / ".dvc").mkdir()
    return tmp_path


def find(folder: Path, what: str) -> Finding:
    return next(finding for finding in findings(folder, quick=what not in ("data/benchmark",)) if finding.what == what)


def test_whole_weights_have_no_fault(weights: Path) -> None:
    assert safetensors_fault(weights) is None


@pytest.mark.parametrize("lost", [1, 40, 1000])
def test_truncated_weights_are_seen(weights: Path, lost: int) -> None:
    content = weights.read_bytes()
    weights.write_bytes(content[: max(len(content) - lost, 0)])
    assert safetensors_fault(weights) is not None


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "truncated"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (struct.pack("<Q", 2) + b"[]", "no safetensors header"),
        (struct.pack("<Q", 3) + b"{{{", "no safetensors header"),
        (struct.pack("<Q", 8) + json.dumps({"a": 1}).encode(), "no safetensors header"),
    ],
)
def test_other_files_are_not_taken_for_weights(weights: Path, content: bytes, fault: str) -> None:
    weights.write_bytes(content)
    found = safetensors_fault(weights)
    assert found is not None
    assert fault in found


def test_a_study_in_order_misses_nothing(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [finding for finding in findings(study, quick=True) if finding.state == "fault"] == []
    assert check.report(study, quick=True) == 0
    assert capsys.readouterr().out == ""


def test_missing_weights_say_where_they_belong(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (study / "data/backbones/builtin_llava/model.safetensors").unlink()
    assert check.report(study, quick=True) == 2
    assert "lacks model.safetensors" in capsys.readouterr().out.replace("\n", " ")


def test_a_hub_checkpoint_must_name_its_commit(study: Path) -> None:
    params = study / "params.yaml"
    hub = params.read_text().replace("checkpoint: data/backbones/builtin_llava", "checkpoint: llava-hf/llava")
    params.write_text(hub)
    assert "without a revision" in find(study, "backbone builtin_llava").detail
    params.write_text(hub.replace("family: llava", "family: llava\n    revision: " + "a1" * 20))
    assert find(study, "backbone builtin_llava").state == "note"


@pytest.mark.parametrize("key", ["text_tower", "control_text_tower"])
def test_text_towers_are_looked_at(study: Path, key: str) -> None:
    params = study / "params.yaml"
    whole = params.read_text()
    tower = next(line.split()[-1] for line in whole.splitlines() if line.startswith(f"    {key}:"))

    def said() -> list[Finding]:
        found = [one for one in findings(study, quick=True) if one.what == "backbone builtin_llava"]
        return [one for one in found if one.detail.startswith(f"{key} ") or one.detail.startswith(f"{key}:")]

    assert said() == []
    for name, tag, state, detail in (
        ("data/nowhere", "", "fault", f"a published one needs {key}_pretrained"),
        ("ViT-L-14-336", f"\n    {key}_pretrained: openai", "note", "is fetched on first use"),
    ):
        params.write_text(whole.replace(f"    {key}: {tower}", f"    {key}: {name}{tag}", 1))
        (finding,) = said()
        assert finding.state == state
        assert detail in finding.detail
    params.write_text(whole)
    weights = study / tower / "open_clip_model.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    assert "has no weights" in said()[0].detail
    weights.write_bytes(content[:-1])
    (study / tower / "open_clip_config.json").unlink()
    (finding,) = said()
    assert finding.state == "fault"
    assert "restore it" in finding.detail
    assert "has no open_clip_config.json" in finding.detail
    states = [one.state for one in findings(study, quick=True) if one.what == "backbone builtin_llava"]
    assert states == ["fault"]  # although the weights of the model itself are whole


def test_wrong_settings_end_the_check(study: Path) -> None:
    (study / "params.yaml").write_text("study: {name: x}\n")
    assert [(finding.what, finding.state) for finding in findings(study)] == [("settings", "fault")]


def test_a_damaged_table_is_named(study: Path) -> None:
    assert find(study, "data/benchmark") == Finding("ok", "data/benchmark", "not made yet")
    table = study / "data/benchmark/images.parquet"
    table.parent.mkdir()
    table.write_bytes(b"PAR1")
    assert "images.parquet is damaged" in find(study, "data/benchmark").detail


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PRUNEPROOF_BATCH", "many"),
        ("PRUNEPROOF_WORKERS", "0"),
        ("PRUNEPROOF_FEATURES_MB", "-1"),
        ("PRUNEPROOF_DEVICE", "tpu"),
        ("PRUNEPROOF_ENGINE", "dask"),
    ],
)
def test_a_malformed_environment_is_named(study: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    (found,) = (finding for finding in findings(study, quick=True) if finding.what == "machine")
    assert found.state == "fault"
    assert f"{name} is '{value}'" in found.detail


def test_a_cluster_that_is_not_there_is_said_before_anything_runs(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNEPROOF_ENGINE", "ray")
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: name)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    (found,) = (finding for finding in findings(study, quick=True) if finding.what == "machine")
    assert found.state == "fault"
    assert "no Ray cluster answers at RAY_ADDRESS=127.0.0.1:1" in found.detail


def test_the_study_is_named(study: Path) -> None:
    assert find(study, "settings").detail.startswith(f"study small in {study}: 1 backbone, ")


def test_little_room_is_seen(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find(study, "disk").state == "ok"
    monkeypatch.setattr(space, "free", lambda folder: 100_000_000)
    found = find(study, "disk")
    assert found.state == "fault"
    assert found.detail.startswith("100 MB free, about ")


def test_a_silent_server_is_a_note(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    found = find(study, "MLflow")
    assert (found.state, "does not answer" in found.detail) == ("note", True)


@pytest.mark.parametrize(("status", "state"), [(200, "ok"), (404, "note")])
def test_a_server_is_asked_for_its_health(
    study: Path, monkeypatch: pytest.MonkeyPatch, status: int, state: str
) -> None:
    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 500)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        Thread(target=server.handle_request, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.server_port}/")
        assert find(study, "MLflow").state == state


def test_locked_versions_heed_markers(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("# said\na==1.0\nb==2.0 ; sys_platform == 'never'\nc==1 ; python_version >= '3'\nc==2\n")
    assert locked_versions(lock) == {"a": ["1.0"], "c": ["1", "2"]}
    assert locked_versions(tmp_path / "none") == {}


def test_broken_neighbours_are_one_note_of_the_full_check(study: Path) -> None:
    for name in ("one", "two"):
        other = study / "studies" / name
        other.mkdir(parents=True)
        for place in (study, other):
            shutil.copy(PROJECT / "dvc.yaml", place)
        (other / "params.yaml").touch()
    assert list(check._pipeline(study, quick=True)) == []
    said = "DVC cannot read one, two (`make check STUDY=one` says why); this one runs without"
    assert list(check._pipeline(study, quick=False)) == [Finding("note", "other studies", said)]


def test_a_broken_default_study_blocks_the_others(study: Path) -> None:
    other = study / "studies" / "other"
    other.mkdir(parents=True)
    shutil.copy(study / "params.yaml", other)
    (study / "dvc.yaml").touch()
    (study / "params.yaml").write_text("study: [", encoding="utf-8")
    found = find(other, "the default study")
    assert found.state == "fault"
    assert str(study / "params.yaml") in found.detail


@pytest.mark.parametrize("prepared", [True, False])
def test_a_section_that_dvc_follows_must_be_written_out(study: Path, prepared: bool) -> None:
    """Also before `prepare` gives a new study the project's dvc.yaml."""
    shutil.copy(PROJECT / "dvc.yaml", study)
    folder = study if prepared else study / "studies/mine"
    text = (study / "params.yaml").read_text(encoding="utf-8")
    if not prepared:
        folder.mkdir(parents=True)
        text = text.replace("root: .", "root: ../..")
    start, end = text.index("answering:"), text.index("scoring:")
    (folder / "params.yaml").write_text(text[:start] + text[end:], encoding="utf-8")
    (found,) = (one for one in findings(folder, quick=True) if one.what == "settings")  # no `ok` beside it
    assert found.state == "fault"
    assert "`answering: {}`" in found.detail
    (folder / "params.yaml").write_text(text[:start] + "answering: {}\n" + text[end:], encoding="utf-8")
    assert find(folder, "settings").state == "ok"


@pytest.mark.parametrize(
    ("without", "hint"),
    [
        ({"perturbations": {"image": {}}}, "text must be given, since DVC tracks it: write `text: {}` under `pert"),
        ({"perturbations": {}}, "write `image: {}` under `perturbations` and `text: {}` under `perturbations` for its"),
        ({}, "write `perturbations: {image: {}, text: {}}` for its defaults"),
        ({"perturbations": {"image": {}, "text": {}}, "study": {"name": "x"}}, ': write `root: "."` under `study` and'),
    ],
)  # fmt: skip
def test_what_to_write_keeps_what_is_there(tmp_path: Path, without: dict[str, Any], hint: str) -> None:
    shutil.copy(PROJECT / "dvc.yaml", tmp_path)
    rest: dict[str, Any] = {name: {} for name in ("benchmark", "answering", "scoring", "costs", "report")}
    values = {"study": {"root": ".", "name": "x", "seed": 0}, "backbones": {}, "methods": {}} | rest
    assert hint in str(pipeline.absent(tmp_path, values | without))


def test_plan_says_what_check_says(study: Path) -> None:
    shutil.copy(PROJECT / "dvc.yaml", study)
    text = (study / "params.yaml").read_text(encoding="utf-8")
    start, end = text.index("answering:"), text.index("scoring:")
    (study / "params.yaml").write_text(text[:start] + text[end:], encoding="utf-8")
    for tell in (plan.report, lambda folder: planned.report(folder, "h100")):
        with pytest.raises(PruneProofError) as told:
            tell(study)
        assert str(told.value) == find(study, "settings").detail


@pytest.mark.parametrize("name", ["data", "reports"])
def test_a_file_in_a_folders_place_is_said(study: Path, name: str) -> None:
    shutil.rmtree(study / name, ignore_errors=True)
    (study / name).touch()
    assert "is a file" in find(study, name).detail


def test_commands_name_the_study(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = study / "studies" / "my other"
    other.mkdir(parents=True)
    text = (study / "params.yaml").read_text(encoding="utf-8")
    (other / "params.yaml").write_text(text.replace("root: .", "root: ../.."), encoding="utf-8")
    assert check.report(other) == 0
    assert "`make repro STUDY='my other'`" in capsys.readouterr().out


def test_the_files_of_a_benchmark_are_looked_for(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "needs", lambda options: [Need("questions.json", "https://x.org", 0)], raising=False)
    found = find(study, "benchmark scenes")
    assert (found.state, found.detail) == (
        "fault",
        f"{study / 'questions.json'} is missing: fetch https://x.org",
    )
    (study / "questions.json").write_bytes(bytes(100_000))
    assert find(study, "benchmark scenes") == Finding("ok", "benchmark scenes", "1 file, 0.1 MB")


def test_a_database_whose_driver_is_not_installed_names_the_package(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "MySQLdb", None)  # whatever is installed here
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "mysql://me:secret@host/runs")
    found = check._tracking(study)
    assert (found.state, found.detail) == (
        "note",
        "mysql://***@host/runs cannot be opened (the package mysqlclient is missing: `pip install mysqlclient`): "
        "until then results stay complete on disk",
    )


@pytest.mark.parametrize("given", ["foo://bar", "./mlruns", "sqlite://", "http//x", "http://host:99999x"])
def test_an_address_that_mlflow_cannot_open_is_a_fault(
    study: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
    found = check._tracking(study)
    assert found.state == "fault"
    assert found.detail.startswith(f"MLFLOW_TRACKING_URI is {given!r}: ")
