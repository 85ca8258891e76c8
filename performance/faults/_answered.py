"""A small world for `faults`: a copy of the code, a LLaVA with random weights, and a study, all free to be changed."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from performance.faults._world import DEFECT, HUNG, LONGEST, PROJECT
from PIL import Image
from ruamel.yaml import YAML
from tests.conftest import save_llava
from torch.utils.flop_counter import flop_registry

from pruneproof.files import write_json, write_rows
from pruneproof.records import CORRUPTED, IMAGES, LOGIT_NOISE, REWORDED, SAMPLES, Sample, sample_to_row
from pruneproof.stored import columns

PARAMS: dict[str, Any] = {
    "study": {"name": "faults", "root": "..", "seed": 1},
    "benchmark": {"name": "scenes", "images": 3},
    "perturbations": {
        "image": {"names": ["gaussian_noise"], "severities": [3]},
        "text": {"names": ["typo_swap"], "severities": [2]},
    },
    "backbones": {
        "tiny": {
            "family": "llava",
            "checkpoint": "weights",
            "text_tower": "weights/clip",
            "control_text_tower": "elsewhere/clip",
            "max_new_tokens": 4,
            "max_caption_tokens": 6,
        }
    },
    "methods": {
        "full": {"method": "full"},
        "random_25": {"method": "random", "keep": 0.25},
        "atp_25": {"method": "atp", "keep": 0.25},
        "atp_25_control": {"method": "atp", "keep": 0.25, "text_tower": "control"},
    },
    "answering": {"caption_conditions": ["clean"], "dialogues": {"turns": 2, "select_by": ["first"]}},
}
NOUNS = ("dog", "car", "bus")
Upgrade = Callable[[], None]


@dataclass(frozen=True, slots=True)
class World:
    """A folder with `src`, `weights`, `elsewhere/clip` and `study`."""

    folder: Path

    @property
    def source(self) -> Path:
        """The package."""
        return self.folder / "src/pruneproof"

    @property
    def study(self) -> Path:
        """The study's folder."""
        return self.folder / "study"

    @property
    def data(self) -> Path:
        """What the stages before answering left, and what answering leaves."""
        return self.study / "data"


def build(folder: Path) -> World:
    """A world in which nothing is answered yet."""
    world = World(folder)
    ignore = shutil.ignore_patterns("__pycache__", "training")
    shutil.copytree(PROJECT / "src/pruneproof", world.source, ignore=ignore)
    # A method that shares code with its own module, imported relatively.
    (world.source / "pruning/_rounding.py").write_text("def at_most(k, n):\n    return min(k, n)\n")
    method = world.source / "pruning/random.py"
    shared = "from pruneproof.pruning import kept_count\n"
    own = "from ._rounding import at_most\n\n\ndef kept_count(keep, count):\n    return at_most(4, count)\n"
    text = method.read_text()
    assert shared in text
    method.write_text(text.replace(shared, own))
    save_llava(folder / "weights")
    shutil.copytree(folder / "weights/clip", folder / "elsewhere/clip")
    world.study.mkdir()
    write_params(world, PARAMS)
    _inputs(world.data)
    return world


def write_params(world: World, values: dict[str, Any]) -> None:
    """Write params.yaml."""
    with (world.study / "params.yaml").open("w") as file:
        YAML().dump(values, file)


def read_params(world: World) -> dict[str, Any]:
    """Read params.yaml."""
    return json.loads(json.dumps(YAML(typ="safe").load(world.study / "params.yaml")))  # type: ignore[no-any-return]


def _inputs(data: Path) -> None:
    names = ("one", "two", "three")
    rows = [Sample(f"{i}/{noun}", i, "existence", f"is there a {noun} here?", "no") for i in names for noun in NOUNS]
    rows += [Sample(f"{i}/caption", i, "caption", "describe the image.", "a dog.") for i in names]
    images = [{"image_id": i, "group": "", "width": 80, "height": 60, **columns(_png(n))} for n, i in enumerate(names)]
    write_rows(data / "benchmark/images.parquet", images, IMAGES)
    write_rows(data / "benchmark/samples.parquet", [sample_to_row(row) for row in rows], SAMPLES)
    corrupted = [{"image_id": i, **columns(_png(10 + n)), "error": ""} for n, i in enumerate(names)]
    write_rows(data / "corrupted/gaussian_noise_3.parquet", corrupted, CORRUPTED)
    reworded = [
        {
            "sample_id": row.sample_id, "perturbation": "typo_swap", "severity": 2, "original": row.question,
            "text": row.question.replace("there", "htere" if "car" not in row.question else "there"),
            "edit_distance": 1, "accepted": True, "reason": "",
        }
        for row in rows
        if row.kind != "caption"
    ]  # fmt: skip
    write_rows(data / "reworded/questions.parquet", reworded, REWORDED)
    for name in ("corrupted", "reworded"):
        write_json(data / name / "manifest.json", {})


def _png(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (15, 20, 3), dtype=np.uint8)
    stream = BytesIO()
    Image.fromarray(pixels.repeat(4, axis=0).repeat(4, axis=1)).save(stream, "png")
    return stream.getvalue()


def answer(world: World, upgrade: Upgrade | None = None, modules: Path | None = None) -> int:
    """Run `write_manifests` and `answer_questions` in a process that imports this world's code; gives the exit code.

    The process is a fork of this one, which has loaded torch already: hundreds of them take minutes, not hours.

    Args:
        world: where.
        upgrade: replaces parts of installed packages, in that process alone.
        modules: a file that gets the names of all modules of the project that answering loaded.
    """
    child = os.fork()
    if child == 0:
        code = DEFECT
        try:
            code = _stages(world, upgrade, modules)
        except BaseException:  # a fault may raise anything; the parent must not go on twice
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return HUNG


def _stages(world: World, upgrade: Upgrade | None, modules: Path | None) -> int:
    log = os.open(world.folder / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    for name in [name for name in sys.modules if name.split(".")[0] == "pruneproof"]:
        del sys.modules[name]
    for operator in [op for op, formula in flop_registry.items() if formula.__module__.startswith("pruneproof.")]:
        del flop_registry[operator]  # PyTorch refuses a second one, and the world's code has its own
    sys.path.insert(0, str(world.folder / "src"))
    sys.dont_write_bytecode = True
    os.environ |= {"PRUNEPROOF_WORKERS": "1", "PRUNEPROOF_DEVICE": "cpu"}
    if upgrade:
        upgrade()
    from pruneproof import cli

    assert Path(str(cli.__file__)).is_relative_to(world.folder)
    study = ["--study", str(world.study)]
    code = cli.main(["write_manifests", *study]) or cli.main(["answer_questions", *study, "--backbone", "tiny"])
    if modules:
        modules.write_text("\n".join(name for name in sys.modules if name.split(".")[0] == "pruneproof"))
    return code


def followed(world: World) -> dict[str, str]:
    """Digests of what DVC follows for the stage `answer_questions`, read from dvc.yaml."""
    stage = YAML(typ="safe").load(PROJECT / "dvc.yaml")["stages"]["answer_questions"]
    found = {}
    for name in stage["deps"]:
        place = world.study / name.replace("${item.backbone}", "tiny")
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        content = [(file.name, file.read_bytes()) for file in files if file.is_file()]
        found[name] = hashlib.sha256(repr(content).encode()).hexdigest()
    for name in stage["params"]:
        value: Any = read_params(world)
        for key in name.replace("${item.backbone}", "tiny").split("."):
            value = value.get(key) if isinstance(value, dict) else None
        found[name] = json.dumps(value, sort_keys=True)
    return found


def answers(world: World) -> dict[str, pa.Table]:
    """Tables that the stage left, by method and kind."""
    return {
        f"{path.stem} {kind}": pq.read_table(path)
        for kind in ("answers", "logits")
        for path in sorted((world.data / kind / "tiny").glob("*.parquet"))
    }


def differs(served: dict[str, pa.Table], truth: dict[str, pa.Table]) -> str:
    """Where tables differ by more than logits may; empty if nowhere."""
    if served.keys() != truth.keys():
        return f"methods {sorted(served)} against {sorted(truth)}"
    for name, table in truth.items():
        other = served[name]
        if other.schema != table.schema or other.num_rows != table.num_rows:
            return f"{name}: {other.num_rows} rows against {table.num_rows}"
        for column in table.column_names:
            ours, theirs = other[column].to_pylist(), table[column].to_pylist()
            if column.endswith("_logit"):
                if np.abs(np.array(ours) - np.array(theirs)).max(initial=0) > LOGIT_NOISE:
                    return f"{name}: {column}"
            elif ours != theirs:
                return f"{name}: {column}"
    return ""


def cells(world: World) -> dict[str, int]:
    """Finished cells and when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in (world.data / ".cells").rglob("*.cell") if path.is_file()}


def another_version(package: str, change: Upgrade) -> Upgrade:
    """What another version of a package would do: it has another number, and does something differently."""

    def upgrade() -> None:
        known = importlib.metadata.version
        importlib.metadata.version = lambda name: known(name) + ("+other" if name == package else "")
        change()

    return upgrade
