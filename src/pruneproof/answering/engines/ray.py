"""Actors of a Ray cluster, which keep their model through all methods and share no disk with this process.

Three processes take part. This one reads pictures, sends them, and writes what comes back into the store. A child of it
(`_ray_driver`) talks to Ray: Ray ends the process that does so without a word when a cluster's head is gone for a
minute, and so that becomes one clear line, with everything finished in the store. The actors (`_ray_actor`) answer.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from pruneproof import machine, ray_cluster
from pruneproof.answering.batch import AskedImage, Batch
from pruneproof.answering.engines import _ray_driver as driver
from pruneproof.answering.sources import HOME
from pruneproof.answering.worker import Job, Origin, Task, keep
from pruneproof.errors import PruneProofError
from pruneproof.folders import Folders
from pruneproof.stored import Stored

log = logging.getLogger(__name__)

_CONNECT_S = 180
"""How long connecting may take; starting Ray on this machine takes 5 s, on a busy one 20."""
_END_S = 20
"""How long ending may take before it is made to; ending Ray on this machine takes 2 s."""


def run(job: Job, origin: Origin, tasks: Iterable[Task]) -> Iterator[int]:
    """Answer tasks on the cluster at RAY_ADDRESS, or on a Ray of this machine that ends with the run; see `Engine`.

    A worker that is lost is replaced, and what it had in hand is asked again by another; a cell that has arrived is
    stored and not asked again. Which cells are finished first is left to chance, and no byte depends on it.

    Raises:
        PruneProofError: besides for what `Engine` says, if Ray is not installed or not reached, if no node has room for
            a worker, if there are fewer GPUs or CPUs than workers, or if a node has other weights, packages or code.
    """
    address = ray_cluster.address()
    with temporary_folder() as folder:
        pipe, process = _start(_request(job, origin, address, folder))
        try:
            yield from _serve(pipe, job, tasks, address)
        finally:
            pipe.close()
            process.join(_END_S)
            if process.is_alive():
                process.kill()
                process.join()
            if process.exitcode:
                driver.end_left(folder)


def _request(job: Job, origin: Origin, address: str, folder: Path) -> driver.Request:
    """What the child needs; paths are absolute, because actors work in folders of their own."""
    job = replace(job, root=job.root.absolute(), features=job.features.absolute())
    wanted, workers = machine.wanted_device(), machine.wanted_workers()
    # Both are set, also to their defaults: a node may have other values of its own.
    variables = {
        "PRUNEPROOF_BATCH": str(machine.batch_size()),
        "PRUNEPROOF_FEATURES_MB": str(machine.feature_bytes() // 2**20),
        "PYTHONPATH": os.pathsep.join([str(HOME.parent), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    origin = replace(origin, folders=Folders(origin.folders.study.absolute()))
    return driver.Request(job, origin, address, wanted, workers, machine.cores(), variables, folder)


def _start(request: driver.Request) -> tuple[Connection, multiprocessing.process.BaseProcess]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=driver.drive, args=(theirs, request), name="pruneproof-ray")
    process.start()
    theirs.close()
    return ours, process


def _serve(pipe: Connection, job: Job, tasks: Iterable[Task], address: str) -> Iterator[int]:
    """Give the child tasks when it asks for one, and store the cells that come back."""
    coming, connected = iter(tasks), False
    while True:
        try:
            if not connected and not pipe.poll(_CONNECT_S):
                raise PruneProofError(f"Ray does not start or answer within {_CONNECT_S} s: see `ray status`")
            said = pipe.recv()
        except (EOFError, ConnectionError):
            raise PruneProofError(_lost(connected, address)) from None
        match said:
            case driver.Wanted():
                task = next(coming, None)
                answer = None if task is None else carried(task)
                with suppress(ConnectionError):  # it has ended; what it sent before is still to be read
                    pipe.send(answer)
            case driver.Finished(key, table):
                keep(job, key, table)
                yield 1
            case driver.Connected(line):
                connected = True
                log.info(line)
            case driver.Warned(line):
                log.warning(line)
            case driver.Refused(line):
                raise PruneProofError(line)
            case driver.Broke(traceback):
                raise RuntimeError(traceback)
            case driver.Ended():
                return


def _lost(connected: bool, address: str) -> str:
    if not address:
        return "Ray has ended on this machine, or a process of it was killed: finished work is kept, so run again"
    if connected:
        return f"the Ray cluster at {address} has ended, or its head was restarted: finished work is kept, so run again"
    return f"what answers at {address} is no Ray cluster that works: see `ray status`"


def carried(task: Task) -> Task:
    """The same task with its pictures in memory, so that a machine with none of the files can answer it.

    Pictures that are made when they are asked about stay so, with their originals in memory.

    Raises:
        PruneProofError: if a picture is missing or has changed.
    """
    images = tuple(_carried(image) for image in task.batch.images)
    return replace(task, batch=Batch(task.batch.condition, images))


def _carried(image: AskedImage) -> AskedImage:
    clean: Stored | None = None if image.clean is None else image.clean.carried()
    return replace(image, picture=image.picture.carried(), clean=clean)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """For Ray's sockets and logs: short, without blanks, and gone in the end. RAY_TMPDIR says where, if it is set."""
    folder = Path(tempfile.mkdtemp(prefix="ray", dir=ray_cluster.folder()))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
