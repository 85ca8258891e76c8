"""A small study with every stage of dvc.yaml, in a folder of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from performance.faults._hooks import INJECT, UNDISTURBED
from tests.conftest import save_llava

PROJECT = Path(__file__).resolve().parents[2]
BACKBONE = "tiny"
LONGEST = 900
"""Seconds after which a stage is given up."""
DEFECT, HUNG = 70, 71
"""Exit codes of a stage that ends with a traceback, and of one that was given up."""
PARAMS = """\
study: {name: faults, root: ., seed: 5}
benchmark: {name: scenes, images: 12}
perturbations:
  image: {names: [gaussian_noise, occlusion_object], severities: [3]}
  text: {names: [typo_keyboard], severities: [3]}
backbones:
  tiny:
    family: llava
    checkpoint: data/backbones/tiny
    text_tower: data/backbones/tiny/clip
    max_new_tokens: 4
    max_caption_tokens: 6
methods:
  full: {method: full}
  random_25: {method: random, keep: 0.25}
  atp_25: {method: atp, keep: 0.25}
answering: {caption_conditions: [clean], dialogues: {turns: 2, select_by: [first]}}
scoring: {resamples: 100, primary: [atp_25]}
costs: {images: 1, repeats: 3}
report: {examples: 1}
"""


@dataclass(frozen=True, slots=True)
class World:
    """A project's folder with one study, its own."""

    folder: Path

    @property
    def data(self) -> Path:
        """What stages leave."""
        return self.folder / "data"

    @property
    def lock(self) -> Path:
        """What stages read and left when they last ended well, as dvc.lock has it; on another disk than the study."""
        return self.folder.with_name(f"{self.folder.name}.lock")


def build(folder: Path) -> World:
    """A world in which nothing has run yet."""
    world = World(folder)
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", "training")
    shutil.copytree(PROJECT / "src", folder / "src", ignore=ignore)
    save_llava(folder / "data/backbones" / BACKBONE)
    (folder / "performance/results").mkdir(parents=True)
    for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(PROJECT / name, folder / name)
    (folder / "params.yaml").write_text(PARAMS, encoding="utf-8")
    dvc(world, "init", "--quiet", "--no-scm")
    shutil.copytree(PROJECT / ".dvc/plots", folder / ".dvc/plots")
    return world


def environment(world: World) -> dict[str, str]:
    """What `make` sets, for two workers on a CPU."""
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{INJECT}{os.pathsep}{world.folder / 'src'}",
        "DVC_NO_ANALYTICS": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "HF_HUB_OFFLINE": "1",
        "PRUNEPROOF_WORKERS": os.environ.get("PRUNEPROOF_WORKERS", "1"),
        "PRUNEPROOF_DEVICE": "cpu",
    }


def start_dvc(world: World, *arguments: str, output: int = subprocess.PIPE) -> subprocess.Popen[str]:
    """Start DVC, which runs the stages in real processes, at the head of a group of its own."""
    return subprocess.Popen(
        ["dvc", *arguments],
        cwd=world.folder,
        env={**os.environ, **environment(world), **UNDISTURBED.environment()},
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )


def dvc(world: World, *arguments: str) -> tuple[int, str]:
    """Run DVC, and give its exit code and what it and its stages printed."""
    return wait_for_dvc(start_dvc(world, *arguments))


def wait_for_dvc(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and output of DVC when it has ended.

    Raises:
        subprocess.TimeoutExpired: if it takes longer than three stages may.
    """
    said, _ = process.communicate(timeout=3 * LONGEST)
    return process.returncode, said


def digest(place: Path) -> str:
    """Digest of a file, or of the names and contents of a folder's; empty if there is nothing."""
    if place.is_file():
        return hashlib.sha256(place.read_bytes()).hexdigest()
    if not place.is_dir():
        return ""
    parts = [f"{path.relative_to(place)} {digest(path)}" for path in sorted(place.rglob("*")) if _counts(path)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _counts(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts and path.name != ".gitignore"
