"""The stages of dvc.yaml, and a runner that decides as DVC does which are stale."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from performance.faults._hooks import UNDISTURBED, Hooks
from performance.faults._processes import Meanwhile, run
from performance.faults._world import BACKBONE, World, digest
from ruamel.yaml import YAML

Before = Callable[[str], None]


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
            tuple(one if isinstance(one, str) else next(iter(one)) for one in _outs(stage)),
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


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
