"""A full disk at every stage, after a random part of what the stage writes: a small disk where one can be mounted, and
files that may not grow (as by `ulimit -f`), which can be tried everywhere."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from random import Random

from performance.faults import _pipeline as pipeline
from performance.faults import _small_disk as small_disk
from performance.faults._hooks import Hooks
from performance.faults._pipeline import Ended
from performance.faults._trials import DONE, Bench, Kind, Trial, finished, line_of, lost, unclear
from performance.faults._world import World

ROOM = 2**28
"""Bytes for everything."""
STORES = {
    "answer_questions": ("data/.cells",),
    "corrupt_images": ("data/.corrupted",),
    "record_runs": ("mlartifacts", "mlflow.db"),
}
"""What stages write beside their outputs."""
LEAST = 2000
"""Bytes of the smallest limit on files: what a stage prints goes to a file, too."""


def trial(bench: Bench, number: int, rng: Random) -> Trial:
    """Let the disk be full in one stage, free some, and run again."""
    stage = bench.names[number % len(bench.names)]
    small = number // len(bench.names) % 3 < 2 and small_disk.possible(bench.live.folder)
    if small:
        return Trial(**json.loads(small_disk.alone(lambda: json.dumps(asdict(_small(bench, number, rng, stage))))))
    world = bench.begin(stage)
    sizes = sorted(path.stat().st_size for path in _files(bench, stage))
    largest = max(LEAST, rng.randrange(max(1, sizes[-1]))) if sizes else LEAST
    ended = pipeline.repro(world, Hooks(largest_file=largest), until=bench.after(stage), hooked=stage)
    return _judged(bench, world, number, ended, f"{stage}, files of at most {largest} bytes")


def _small(bench: Bench, number: int, rng: Random, stage: str) -> Trial:
    """On a disk that is as full as it must be when the stage starts."""
    small_disk.mount(bench.live.folder, ROOM)
    world = bench.begin(stage)
    left = int(rng.choice([0.0, rng.uniform(0, 1), rng.uniform(0, 1)]) * _written(bench, stage))
    small_disk.mount(world.folder, small_disk.used(world.folder) + left, again=True)
    ended = pipeline.repro(world, until=bench.after(stage))
    small_disk.mount(world.folder, ROOM, again=True)
    return _judged(bench, world, number, ended, f"{stage}, {left // 1024} kB left on the disk")


def _judged(bench: Bench, world: World, number: int, ended: Ended, what: str) -> Trial:
    before = finished(world)
    until = bench.after(what.partition(",")[0])
    again = pipeline.repro(world, until=until)
    return Trial(
        "disk",
        number,
        f"{what}: {'failed' if ended.code else 'did not matter'}",
        lost=lost(before, finished(world)),
        unclear=unclear(ended)
        or (f"then code {again.code} in {again.stage}: {again.said[-300:]}" if again.code else ""),
        unequal=bench.differs(world, until),
        said=line_of(ended),
    )


def _files(bench: Bench, stage: str) -> list[Path]:
    """What a stage leaves, with the stores that it fills."""
    done = World(bench.folder / f"at {DONE}")
    own = next(one for one in pipeline.stages(done) if one.name == stage)
    tops = [done.folder / name for name in (*own.outs, *STORES.get(stage, ()))]
    return [path for top in tops for path in ([top] if top.is_file() else top.rglob("*")) if path.is_file()]


def _written(bench: Bench, stage: str) -> int:
    """Bytes, in blocks, that a stage writes."""
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in _files(bench, stage))


KIND = Kind("disk", "A full disk", 60, trial)
