"""A small study with every stage of dvc.yaml, and a runner that decides as DVC does what is stale.

A stage runs in a fork of this process, which has loaded torch, MLflow and Matplotlib already, so that hundreds of whole
runs take an hour and not a day. `dvc` starts real processes instead; `kills` and `twins` do some trials through it.
"""

from __future__ import annotations

import faulthandler
import hashlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from performance.faults._hooks import INJECT, UNDISTURBED, Hooks, apply
from ruamel.yaml import YAML
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
_HEAVY = (
    "torch", "open_clip", "transformers", "mlflow.store.tracking.sqlalchemy_store", "mlflow.tracking", "pandas",
    "matplotlib.pyplot", "scipy.stats", "imagecorruptions", "nlpaug", "skimage", "cv2", "numba", "jinja2",
    "alembic.script",
)  # fmt: skip
Meanwhile = Callable[[int, str], None]
"""What is done while a stage runs, again and again: given its process id and its name."""
Before = Callable[[str], None]


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


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of dvc.yaml."""

    name: str
    arguments: tuple[str, ...]
    """What follows `python -m pruneproof`."""
    deps: tuple[str, ...]
    params: tuple[str, ...]
    outs: tuple[str, ...]
    always: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended."""

    code: int
    """0 if all stages did, else that of the first that did not; negative for a signal."""
    stage: str = ""
    """The one that did not."""
    said: str = ""
    """What that one printed."""
    ran: tuple[str, ...] = ()
    """Stages that were started."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """How long each took."""


def preload() -> None:
    """Load what stages import, before the first fork."""
    import torch

    torch.set_num_threads(1)
    from pruneproof import cli
    from pruneproof.tracking import store

    os.environ |= store.DEFAULTS  # MLflow reads them when it is imported
    for name in _HEAVY:
        importlib.import_module(name)
    for module, _ in cli.STAGES.values():
        if not module.startswith("pruneproof.training"):
            importlib.import_module(module)
    for name in ("answering.answerer", "answering.features", "backbones.families.llava", "reporting.figures"):
        importlib.import_module(f"pruneproof.{name}")


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


def stages(world: World) -> tuple[Stage, ...]:
    """The stages of dvc.yaml, in order."""
    text = (world.folder / "dvc.yaml").read_text(encoding="utf-8")
    filled = text.replace("${study.root}/", "").replace("${item.backbone}", BACKBONE)
    found = YAML(typ="safe").load(filled)["stages"]
    return tuple(
        Stage(
            name,
            tuple(stage["cmd"].split()[3:]),
            tuple(stage["deps"]),
            tuple(stage["params"]),
            tuple(
                one if isinstance(one, str) else next(iter(one)) for one in (*stage["outs"], *stage.get("metrics", ()))
            ),
            bool(stage.get("always_changed")),
        )
        for name, stage in found.items()
    )


def _outs(stage: Mapping[str, Any]) -> list[Any]:
    return [*stage["outs"], *stage.get("metrics", ())]


def repro(
    world: World,
    hooks: Hooks = UNDISTURBED,
    meanwhile: Meanwhile | None = None,
    until: str = "",
    before: Before | None = None,
    hooked: str = "",
) -> Ended:
    """Run what is stale, stage by stage, as `dvc repro` does: what a stage left is removed before it starts.

    Args:
        world: where.
        hooks: what the stages meet.
        meanwhile: called again and again while they run.
        until: the stage that is not run any more, nor any after it; empty for all.
        before: called with the name of each stage before it is run.
        hooked: the one stage that meets `hooks`; empty for all.
    """
    ran: list[str] = []
    seconds: dict[str, float] = {}
    lock = json.loads(world.lock.read_text(encoding="utf-8")) if world.lock.exists() else {}
    for stage in stages(world):
        if stage.name == until:
            break
        if not stage.always and lock.get(stage.name) == _state(world, stage):
            continue
        for out in stage.outs:
            _remove(world.folder / out)
        ran.append(stage.name)
        if before is not None:
            before(stage.name)
        began = time.monotonic()
        code, said = run(world, stage.arguments, hooks if hooked in ("", stage.name) else UNDISTURBED, meanwhile)
        seconds[stage.name] = time.monotonic() - began
        if code:
            return Ended(code, stage.name, said, tuple(ran), seconds)
        lock[stage.name] = _state(world, stage)
        _write(world.lock, json.dumps(lock))
    return Ended(0, ran=tuple(ran), seconds=seconds)


def run(
    world: World, arguments: tuple[str, ...], hooks: Hooks = UNDISTURBED, meanwhile: Meanwhile | None = None
) -> tuple[int, str]:
    """Run one stage, and give its exit code and what it printed."""
    process = start(world, arguments, hooks)
    return process.wait(meanwhile)


@dataclass(frozen=True, slots=True)
class Process:
    """A stage that is running."""

    pid: int
    name: str
    log: Path

    def wait(self, meanwhile: Meanwhile | None = None) -> tuple[int, str]:
        """Its exit code and what it printed; it is given up after `LONGEST` seconds."""
        deadline = time.monotonic() + LONGEST
        while time.monotonic() < deadline:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status), self.log.read_text(encoding="utf-8", errors="replace")
            if meanwhile is not None:
                meanwhile(self.pid, self.name)
            time.sleep(0.005)
        os.kill(self.pid, signal.SIGUSR1)  # where it hangs
        time.sleep(1)
        os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        where = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
        return HUNG, f"not done after {LONGEST} seconds: {where}"


def start(world: World, arguments: tuple[str, ...], hooks: Hooks = UNDISTURBED) -> Process:
    """Start one stage in a process that leads a group of its own."""
    log = world.folder.parent / f"{world.folder.name}.{arguments[0]}.{time.monotonic_ns()}.log"
    log.touch()  # it may be killed before it opens it
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return Process(pid, arguments[0], log)
    code = DEFECT
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        faulthandler.register(signal.SIGUSR1)
        os.chdir(world.folder)
        os.environ |= environment(world)
        apply(hooks)
        from pruneproof import cli

        code = cli.main(list(arguments))
    except KeyboardInterrupt:  # before `main`: as `__main__` says it
        print("pruneproof: interrupted", file=sys.stderr)
        code = 130
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else 1
    except BaseException:  # a fault may raise anything; the campaign must not go on twice
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


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


def dvc(world: World, *arguments: str, hooks: Hooks = UNDISTURBED) -> subprocess.CompletedProcess[str]:
    """Run DVC in real processes."""
    return subprocess.run(
        ["dvc", *arguments],
        cwd=world.folder,
        env={**os.environ, **environment(world), **hooks.environment()},
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=3 * LONGEST,
        start_new_session=True,
    )


def left_running(pid: int, wait: float = 10.0) -> list[str]:
    """Processes of a stage's session that are there so long after it ended."""
    deadline = time.monotonic() + wait
    while found := _of_session(pid):
        if time.monotonic() > deadline:
            return found
        time.sleep(0.05)
    return []


def _of_session(number: int) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == number and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} {process.name()}")
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def _state(world: World, stage: Stage) -> dict[str, str]:
    """Digests of what a stage reads and leaves; empty for what is not there."""
    try:
        values = YAML(typ="safe").load(world.folder / "params.yaml")
    except Exception:  # a damaged one is the stage's to report
        values = None
    found = {name: digest(world.folder / name) for name in (*stage.deps, *stage.outs)}
    for name in stage.params:
        value: Any = values
        for key in name.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        found[f"params {name}"] = json.dumps(value, sort_keys=True, default=str)
    return found


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


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
