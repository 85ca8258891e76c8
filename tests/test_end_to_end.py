"""The pipeline under DVC on a tiny grid with the built-in model: it repeats, resumes, recomputes only what it must."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[1]
REPEATABLE = ("manifests", "benchmark", "corrupted", "reworded", "patches", "answers", "logits", "scores")
"""Folders of data/ that are the same in every run, byte for byte; costs are measured and differ."""
PARAMS = """\
study: {name: tiny, root: ., seed: 5}
benchmark: {name: scenes, images: 2}
perturbations:
  image: {names: [gaussian_noise, occlusion_object], severities: [3]}
  text: {names: [typo_keyboard], severities: [3]}
backbones:
  builtin_llava:
    family: llava
    checkpoint: data/backbones/builtin_llava
    text_tower: data/backbones/builtin_llava/clip
methods:
  full: {method: full}
  random_25: {method: random, keep: 0.25}
  atp_25: {method: atp, keep: 0.25, alpha: 0.5}
answering: {caption_conditions: [clean], dialogues: {turns: 2, select_by: [first, each]}}
scoring: {resamples: 100, primary: [atp_25]}
costs: {images: 1, repeats: 3}
report: {examples: 1}
"""


def environment(folder: Path) -> dict[str, str]:
    """What `make` sets, with the copy of the code in the folder or above it; no MLflow server, no network."""
    project = next(place for place in (folder, *folder.parents) if (place / "src").is_dir())
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PRUNEPROOF_"))}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)  # a dozen processes share what one has compiled
    return kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(project / "src"),
        "DVC_NO_ANALYTICS": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "HF_HUB_OFFLINE": "1",
        "PRUNEPROOF_WORKERS": "1",
        "PRUNEPROOF_DEVICE": "cpu",
    }


def new_project(folder: Path) -> Path:
    """A copy of what a study needs, and nothing that an earlier run has made."""
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(PROJECT / "src", folder / "src", ignore=ignore)
    shutil.copytree(PROJECT / "data/backbones/builtin_llava", folder / "data/backbones/builtin_llava")
    shutil.copytree(PROJECT / "performance/results", folder / "performance/results")
    for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(PROJECT / name, folder / name)
    (folder / "params.yaml").write_text(PARAMS)
    subprocess.run(["dvc", "init", "--quiet", "--no-scm"], cwd=folder, env=environment(folder), check=True)
    shutil.copytree(PROJECT / ".dvc/plots", folder / ".dvc/plots")
    return folder


def repro(folder: Path, *targets: str) -> str:
    return said(folder, "dvc", "repro", *targets)


def said(folder: Path, *command: str) -> str:
    """What a command prints; it must end well."""
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), text=True, encoding="utf-8", capture_output=True, timeout=900
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
    return done.stdout


def ran(output: str) -> list[str]:
    """The stages that a `dvc repro` ran."""
    return re.findall(r"^Running stage '([^']+)'", output, flags=re.MULTILINE)


def digests(folder: Path) -> dict[str, str]:
    """Digest of every repeatable file, by its path."""
    files = (file for name in REPEATABLE for file in (folder / "data" / name).rglob("*") if file.name != ".gitignore")
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()
    }


def cells(folder: Path) -> dict[Path, int]:
    """Finished files of the store and when each was written."""
    return {
        file: file.stat().st_mtime_ns
        for file in (folder / "data" / ".cells").rglob("*")
        if file.suffix in (".cell", ".features")
    }


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A project after one undisturbed run, and what that run printed."""
    folder = new_project(tmp_path_factory.mktemp("straight") / "project")
    return folder, repro(folder)


def test_every_stage_runs_and_leaves_its_results(straight: tuple[Path, str]) -> None:
    folder, output = straight
    others = ["write_manifests", "draw_scenes", "corrupt_images", "reword_questions", "locate_patches", "score_answers"]
    others += ["answer_questions@builtin_llava", "measure_costs", "write_report", "record_runs"]
    assert sorted(ran(output)) == sorted(others)
    for name in (
        "summary.csv",
        "metrics/builtin_llava/full.json",
        "claims.md",
        "report.html",
        "tracking.json",
        "figures/scenes.png",
    ):
        assert (folder / "reports" / name).stat().st_size > 0
    looks = [sys.executable, "-m", "pruneproof"]
    for look, said in (("summary", "report.html"), ("plan", "atp_25"), ("check", "Everything is in place")):
        done = subprocess.run([*looks, look], cwd=folder, env=environment(folder), text=True, capture_output=True)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout


def test_a_second_run_does_nothing_and_is_quick(straight: tuple[Path, str]) -> None:
    folder, _ = straight
    before = digests(folder)
    start = os.times()
    output = repro(folder)
    end = os.times()
    seconds = end.children_user + end.children_system - start.children_user - start.children_system
    assert ran(output) == ["write_manifests"], "it looks at what DVC cannot see"
    assert digests(folder) == before
    assert seconds < 5, "of the processor: 2 were measured, and what else the machine does plays no part"


@pytest.mark.slow
def test_a_killed_run_resumes_and_ends_with_the_same_bytes(straight: tuple[Path, str], tmp_path: Path) -> None:
    folder = new_project(tmp_path / "killed")
    with subprocess.Popen(
        ["dvc", "repro", "score_answers"],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as running:
        deadline = time.monotonic() + 600
        while len(cells(folder)) < 2 and running.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        os.killpg(running.pid, signal.SIGKILL)
    finished = cells(folder)
    assert len(finished) >= 2
    assert not (folder / "data/scores").exists()

    output = repro(folder, "score_answers")
    assert not {"draw_scenes", "corrupt_images", "reword_questions"} & set(ran(output))
    after = cells(folder)
    assert {file: after.get(file) for file in finished} == finished
    assert len(after) > len(finished)
    assert digests(folder) == digests(straight[0])


@pytest.mark.slow
def test_a_changed_alpha_recomputes_the_cells_of_its_method_alone(straight: tuple[Path, str]) -> None:
    folder, _ = straight
    params = folder / "params.yaml"
    old_answers, old_cells = digests(folder), cells(folder)
    params.write_text(PARAMS.replace("alpha: 0.5", "alpha: 0.9"))
    output = repro(folder, "score_answers")
    assert ran(output) == ["write_manifests", "answer_questions@builtin_llava", "measure_costs", "score_answers"]
    changed = {
        path
        for path, digest in digests(folder).items()
        if path.startswith("data/answers") and old_answers[path] != digest
    }
    assert changed == {"data/answers/builtin_llava/atp_25.parquet"}
    assert {file: time for file, time in cells(folder).items() if file in old_cells} == old_cells

    params.write_text(PARAMS)
    repro(folder, "score_answers")
    assert digests(folder) == old_answers


@pytest.mark.slow
def test_an_experiment_is_compared_with_the_commit_before_it(straight: tuple[Path, str], tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(straight[0], folder)
    (folder / ".dvc/config").write_text("[core]\n    analytics = false\n    autostage = false\n", encoding="utf-8")
    author = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    said(folder, "git", "init", "--quiet")

    def commit() -> None:
        said(folder, "git", "add", "--all")
        said(folder, "git", *author, "commit", "--quiet", "--message", "results")

    commit()
    kept = said(folder, "git", "ls-files").split()
    assert "reports/metrics/builtin_llava/atp_25.json" in kept
    assert not [path for path in kept if path.endswith((".html", ".pdf", ".parquet"))]
    said(folder, "dvc", "exp", "run", "--set-param", "methods.atp_25.alpha=0.0", "write_report")
    commit()

    def compared(what: str, *arguments: str) -> Any:
        return json.loads(said(folder, "dvc", what, "diff", "--json", *arguments, "HEAD~1", "HEAD"))

    alpha = {"methods.atp_25.alpha": {"old": 0.5, "new": 0.0}}
    assert compared("params") == {"params.yaml": {name: {**values, "diff": -0.5} for name, values in alpha.items()}}
    path = "reports/metrics/builtin_llava/atp_25.json"
    old, new = (json.loads(said(folder, "git", "show", f"{revision}:{path}")) for revision in ("HEAD~1", "HEAD"))
    changed = {name: (old[name], new[name]) for name in old if old[name] != new[name]}
    assert changed
    found = compared("metrics")
    assert set(found) == {path}
    assert {name: (value["old"], value["new"]) for name, value in found[path].items()} == changed
    said(folder, "dvc", "plots", "diff", "--out", "drawn", "HEAD~1", "HEAD")
    page = (folder / "drawn/index.html").read_text(encoding="utf-8")
    assert "Accuracy under image corruption" in page
    assert {"HEAD~1", "HEAD"} <= set(re.findall(r'"rev": "([^"]+)"', page))


@pytest.mark.slow
def test_what_the_settings_name_is_seen_wherever_it_lies(straight: tuple[Path, str]) -> None:
    """Weights outside the backbone's folder and a docstring: one makes everything be asked again, the other nothing."""
    folder, _ = straight
    old_answers, old_cells = digests(folder), cells(folder)
    (folder / "elsewhere").mkdir()
    shutil.copytree(folder / "data/backbones/builtin_llava/clip", folder / "elsewhere/clip")
    (folder / "params.yaml").write_text(PARAMS.replace("data/backbones/builtin_llava/clip", "elsewhere/clip"))
    repro(folder, "score_answers")
    assert cells(folder) == old_cells, "weights were moved, not changed"

    shared = folder / "src/pruneproof/backbones/language/generation.py"
    shared.write_text(shared.read_text() + '\n"""Another text."""\n')
    assert ran(repro(folder, "score_answers")) == ["write_manifests"]

    config = folder / "elsewhere/clip/open_clip_config.json"
    config.write_text(config.read_text() + " ")
    assert "answer_questions@builtin_llava" in ran(repro(folder, "score_answers"))
    assert set(cells(folder)) > set(old_cells)
    after = digests(folder)
    assert {name: after[name] for name in after if "answers/builtin" in name and "manifests" not in name} == {
        name: old_answers[name] for name in old_answers if "answers/builtin" in name and "manifests" not in name
    }
