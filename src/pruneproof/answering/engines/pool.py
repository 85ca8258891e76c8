"""Processes of this machine: all cores of a CPU, or one process for each device that is asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from pruneproof import machine
from pruneproof.answering.worker import Job, Origin, Task, finish, load
from pruneproof.workers import Start, run_in_order


def run(job: Job, origin: Origin, tasks: Iterable[Task]) -> Iterator[int]:
    """Answer tasks in processes that share this machine's disk, and so store their own cells; see `Engine`.

    On a CPU the processes are forked and share one model. Several devices have a fresh process each, which loads its
    model when its first batch comes: a process that was forked cannot use CUDA.
    """
    devices = machine.devices()
    start: Start = "fork" if sys.platform == "linux" and devices == ("cpu",) else "spawn"
    workers = machine.workers() if devices == ("cpu",) else len(devices)
    job = replace(job, devices=devices)
    if workers == 1 or start == "fork":
        load(job)
    for _, finished in run_in_order(partial(finish, job), tasks, workers, start=start):
        yield finished
