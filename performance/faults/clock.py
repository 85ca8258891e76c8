"""A clock set back or ahead: between two runs, with and without a change in between, and in the middle of one.

What a process is told is shifted (`time.time`), and files get the times that they would have had (`os.utime`): the
kernel's own clock is left alone.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import numpy as np
from performance.faults import _pipeline as pipeline
from performance.faults._hooks import Hooks
from performance.faults._pipeline import Ended
from performance.faults._trials import DONE, Bench, Kind, Trial, finished, line_of, lost, unclear
from performance.faults._world import BACKBONE, World

HOUR, DAY, YEAR = 3600.0, 86_400.0, 31_557_600.0
SHIFTS = (-HOUR, -DAY, -10 * YEAR, HOUR, DAY, 10 * YEAR)
HOW = ("in the middle", "before a run that has nothing to do", "before a run after a change", "before a new recording")


def trial(bench: Bench, number: int, rng: Random) -> Trial:
    """Set the clock once."""
    how, shift = HOW[number % len(HOW)], SHIFTS[number // len(HOW) % len(SHIFTS)]
    what = f"{_long(shift)} {how}"
    hooks = Hooks(clock=shift)
    if how == "in the middle":
        # Up to a stage the clock was right; what is there has the times of the other clock.
        stage = rng.choice([name for name in bench.names if name not in ("write_manifests",)])
        world = bench.begin(stage)
        before = finished(world)
        ended = pipeline.repro(world, hooks)
        gone = lost(before, finished(world))
        _touch(world, ended.ran, shift)
        again = pipeline.repro(world, hooks)
        repeated = [name for name in again.ran if name != "write_manifests"]
        return Trial(
            "clock", number, f"{what}, at {stage}", unclear=_wrong(ended, again), unequal=bench.differs(world),
            lost=gone or (f"run again: {repeated}" if repeated else ""), said=line_of(ended),
        )  # fmt: skip
    world = bench.begin(DONE)
    # A run with the clock ahead leaves files of the future, once the clock is right again.
    _touch(world, bench.names, -shift)
    before = finished(world)
    stale = ""
    if how == "before a run after a change":
        stale = _changed(bench, world, hooks, rng)
    elif how == "before a new recording":
        (world.folder / "reports/tracking.json").unlink()
    ended = pipeline.repro(world, hooks)
    return Trial(
        "clock", number, what, lost=lost(before, finished(world)), stale=stale, unclear=_wrong(ended, ended),
        unequal=bench.differs(world), said=line_of(ended),
    )  # fmt: skip


def _changed(bench: Bench, world: World, hooks: Hooks, rng: Random) -> str:
    """Change weights under their old size and time, see whether answers change, and put them back."""
    path = world.data / "backbones" / BACKBONE / "model.safetensors"
    stat, content = path.stat(), path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    at = start + 4 * rng.randrange((len(content) - start) // 8)
    numbers = -np.frombuffer(content[at:], np.float32)
    path.write_bytes(content[:at] + numbers.tobytes())
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    ended = pipeline.repro(world, hooks, until="score_answers")
    noticed = "answer_questions" in ended.ran
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    return "" if noticed and ended.code in (0, 2) else f"other weights were not noticed: {ended.ran}, code {ended.code}"


def _touch(world: World, names: tuple[str, ...], shift: float) -> None:
    """Give what some stages left, and the stores, the times of another clock."""
    own = [one for one in pipeline.stages(world) if one.name in names]
    tops = [world.folder / out for one in own for out in one.outs] + [world.data / ".cells", world.data / ".corrupted"]
    for path in [file for top in tops for file in ([top] if top.is_file() else top.rglob("*"))]:
        _shift(path, shift)


def _shift(path: Path, shift: float) -> None:
    stat = path.stat()
    os.utime(path, ns=tuple(max(0, number + int(shift * 1e9)) for number in (stat.st_atime_ns, stat.st_mtime_ns)))


def _wrong(*runs: Ended) -> str:
    found = [
        unclear(run) or f"code {run.code} in {run.stage}: {run.said[-300:]}" for run in runs if run.code or unclear(run)
    ]
    return found[0] if found else ""


def _long(shift: float) -> str:
    size = abs(shift)
    unit, name = next((unit, name) for unit, name in ((YEAR, "years"), (DAY, "days"), (HOUR, "hours")) if size >= unit)
    return f"{size / unit:g} {name} {'back' if shift < 0 else 'ahead'}"


KIND = Kind("clock", "A clock that is set", 24, trial)
