"""Kills at random moments of a run: of its process, of a worker, by SIGTERM, SIGINT, and of DVC itself."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from random import Random

import psutil
from performance.faults import _pipeline as pipeline
from performance.faults import _processes as processes
from performance.faults._page import MISSED
from performance.faults._trials import DONE, Bench, Kind, Trial, finished, line_of, lost, unclear
from performance.faults._world import dvc, start_dvc

HOW = ("SIGKILL", "SIGKILL of a worker", "SIGTERM", "SIGINT")
DVC_EVERY = 20
"""Of so many trials, one runs under DVC, in real processes, and DVC is killed with it or alone."""
WHOLE_EVERY = 5
"""Of so many trials, one is a run through all stages."""
COMPUTING = ("corrupt_images", "answer_questions", "score_answers")
"""Stages that have workers."""
CODES = (2, 130, 143)
"""With which a killed run may tell so; a worker's end is told with 2."""


def trial(bench: Bench, number: int, rng: Random) -> Trial:
    """Kill a run once, see what is left, and run again."""
    if number % DVC_EVERY == DVC_EVERY - 1:
        return _under_dvc(bench, number, rng)
    how = HOW[number % len(HOW)]
    os.environ["PRUNEPROOF_WORKERS"] = "2" if "worker" in how else rng.choice(["1", "2"])
    # What came before the stage that is hit is the same in every run.
    stage, moment = _moment(bench, rng, COMPUTING if "worker" in how else bench.names)
    until = DONE if stage in ("write_report", "record_runs") or number % WHOLE_EVERY == 0 else "write_report"
    world = bench.begin(stage)
    killer = _Killer(how, moment)
    ended = pipeline.repro(world, meanwhile=killer, until=until)
    before = finished(world)
    running = [name for pid in killer.hit for name in processes.left_running(pid)]
    again = pipeline.repro(world, until=until)
    what = f"{how} in {stage} after {moment:.2f} s" + ("" if killer.hit else f", {MISSED}")
    wrong = f"left running: {running[0]}" if running else ""
    if killer.hit and not ended.code and again.ran != ("write_manifests",):
        wrong = "a killed run ends with code 0"
    return Trial(
        "kills",
        number,
        what,
        lost=lost(before, finished(world)),
        unclear=wrong or unclear(ended, CODES) or unclear(again) or (f"then code {again.code}" if again.code else ""),
        unequal=bench.differs(world, until),
        said=line_of(ended),
    )


def _moment(bench: Bench, rng: Random, among: Sequence[str]) -> tuple[str, float]:
    """A moment drawn uniformly over some stages of the undisturbed run: the stage, and the seconds since it began."""
    moment = rng.uniform(0, sum(bench.seconds[name] for name in among))
    for name in among:
        if moment < bench.seconds[name]:
            return name, moment
        moment -= bench.seconds[name]
    return among[-1], bench.seconds[among[-1]]


class _Killer:
    """Kills once, when the time has come and there is something to kill."""

    def __init__(self, how: str, moment: float) -> None:
        self.how, self.due = how, time.monotonic() + moment
        self.hit: list[int] = []

    def __call__(self, pid: int, name: str) -> None:
        if self.hit or time.monotonic() < self.due:
            return
        try:
            if "worker" in self.how:
                workers = _workers(pid) if name in COMPUTING else []
                if not workers:
                    return
                os.kill(workers[0], signal.SIGKILL)
            elif self.how == "SIGINT":
                os.killpg(pid, signal.SIGINT)  # as a terminal sends it
            else:
                os.kill(pid, getattr(signal, self.how))
        except ProcessLookupError:  # a worker that has just ended, or a group that is not made yet
            return
        self.hit.append(pid)


def _workers(pid: int) -> list[int]:
    try:
        children = psutil.Process(pid).children()
        return [one.pid for one in children if "resource_tracker" not in " ".join(one.cmdline())]
    except psutil.NoSuchProcess:
        return []


def _under_dvc(bench: Bench, number: int, rng: Random) -> Trial:
    """Kill `dvc repro` with all that it started, or DVC alone, whose stage goes on; then `prepare` and run again."""
    os.environ["PRUNEPROOF_WORKERS"] = "1"
    world = bench.begin(bench.names[0])
    alone = number // DVC_EVERY % 2 == 1
    began = time.monotonic()
    process = start_dvc(world, "repro", output=subprocess.DEVNULL)
    # Processes that import everything themselves take so much longer, as far as is known before the first of them.
    moment = rng.uniform(2, 60)
    while time.monotonic() - began < moment and process.poll() is None:
        time.sleep(0.05)
    (os.kill if alone else os.killpg)(process.pid, signal.SIGKILL)
    process.wait()
    before = finished(world)
    processes.run(world, ("prepare",))
    code, said = dvc(world, "repro")
    if alone and code:  # the stage that went on alone may still hold what it writes
        processes.left_running(process.pid, wait=120)
        processes.run(world, ("prepare",))
        code, said = dvc(world, "repro")
    what = f"SIGKILL of {'dvc alone' if alone else 'dvc and its stage'} after {moment:.1f} s"
    wrong = f"then code {code}: {said[-400:]}" if code else ""
    return Trial("kills", number, what, lost=lost(before, finished(world)), unclear=wrong, unequal=bench.differs(world))


KIND = Kind("kills", "A kill at a random moment", 100, trial)
