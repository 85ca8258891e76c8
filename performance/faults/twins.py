"""Two runs at once in the same folder: of one stage, started nearly together, or of `dvc repro`."""

from __future__ import annotations

import os
import time
from random import Random

from performance.faults import _pipeline as pipeline
from performance.faults import _processes as processes
from performance.faults._pipeline import Ended
from performance.faults._trials import Bench, Kind, Trial, finished, line_of, lost, unclear
from performance.faults._world import dvc, start_dvc, wait_for_dvc

DVC_EVERY = 15
"""Of so many trials, one is two `dvc repro` in real processes."""


def trial(bench: Bench, number: int, rng: Random) -> Trial:
    """Run something twice at once, and then once more."""
    if number % DVC_EVERY == DVC_EVERY - 1:
        return _under_dvc(bench, number, rng)
    stage = bench.names[number % len(bench.names)]
    os.environ["PRUNEPROOF_WORKERS"] = rng.choice(["1", "2"])
    world = bench.begin(stage)
    apart = rng.choice([0.0, rng.uniform(0, bench.seconds[stage])])
    own = next(one for one in pipeline.stages(world) if one.name == stage)
    first = processes.start(world, own.arguments)
    time.sleep(apart)
    second = processes.start(world, own.arguments)
    ended = [Ended(code, stage, said) for code, said in (first.wait(), second.wait())]
    before = finished(world)
    until = bench.after(stage)
    again = pipeline.repro(world, until=until)
    failed = [one for one in ended if one.code]
    wrong = next((text for one in ended if (text := unclear(one))), "")
    if len(failed) == 2:
        wrong = wrong or f"both failed: {line_of(failed[0])}; {line_of(failed[1])}"
    return Trial(
        "twins",
        number,
        f"{stage} twice, {apart:.2f} s apart: {len(failed)} of 2 gave way",
        lost=lost(before, finished(world)),
        unclear=wrong or unclear(again) or (f"then code {again.code}" if again.code else ""),
        unequal=bench.differs(world, until),
        said=line_of(failed[0]) if failed else "",
    )


def _under_dvc(bench: Bench, number: int, rng: Random) -> Trial:
    os.environ["PRUNEPROOF_WORKERS"] = "1"
    world = bench.begin(bench.names[0])
    apart = rng.uniform(0, 20)
    first = start_dvc(world, "repro")
    time.sleep(apart)
    second = start_dvc(world, "repro")
    runs = [wait_for_dvc(one) for one in (first, second)]
    before = finished(world)
    code, said = dvc(world, "repro")
    traces = [one for _, one in runs if "Traceback" in one]
    wrong = f"then code {code}: {said[-300:]}" if code else ""
    if traces:
        wrong = traces[0][-300:]
    failed = [one.strip().splitlines()[-1] for code, one in runs if code and one.strip()]
    return Trial(
        "twins",
        number,
        f"dvc repro twice, {apart:.1f} s apart: {len(failed)} of 2 gave way",
        lost=lost(before, finished(world)),
        unclear=wrong,
        unequal=bench.differs(world),
        said=failed[0][:300] if failed else "",
    )


KIND = Kind("twins", "Two runs at once in one folder", 45, trial)
