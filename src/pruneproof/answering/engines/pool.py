"""Processes of this machine: all cores of a CPU, or one process for each device that is asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from pruneproof import machine
from pruneproof.answering.batch import AskedImage
from pruneproof.answering.worker import Job, Origin, Task, finish, load
from pruneproof.stored import NoPictureError
from pruneproof.workers import Start, run_in_order


def run(job: Job, origin: Origin, tasks: Iterable[Task]) -> Iterator[int]:
    """Answer tasks in processes that share this machine's disk, and so store their own cells; see `Engine`.

    On a CPU the processes are forked and share one model. Several devices have a fresh process each, which loads its
    model when its first batch comes: a process that was forked cannot use CUDA. While devices answer, the cores read,
    or make, the pictures that come next.
    """
    devices = machine.devices()
    job = replace(job, devices=devices)
    if devices == ("cpu",):
        workers = machine.workers()
        start: Start = "fork" if sys.platform == "linux" else "spawn"
        if workers == 1 or start == "fork":
            load(job)
        finished = run_in_order(partial(finish, job), tasks, workers, start=start)
    else:
        ready = (task for _, task in run_in_order(with_pictures, tasks, machine.workers()))
        finished = run_in_order(partial(finish, job), ready, len(devices))
    for _, cells in finished:
        yield cells


def with_pictures(task: Task) -> Task:
    """A task with its pictures in memory, but for those that cannot be made: whoever reads them learns why.

    Raises:
        PruneProofError: if a picture is missing or has changed.
    """
    return replace(task, batch=replace(task.batch, images=tuple(map(_held, task.batch.images))))


def _held(image: AskedImage) -> AskedImage:
    try:
        return image.held()
    except NoPictureError:
        return image
