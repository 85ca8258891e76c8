"""The process between the stage and Ray: it connects, starts actors, hands out tasks and passes on what is finished.

Ray is imported here alone, and inside functions, because the stage's process imports this module for its messages.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa

from pruneproof.answering.worker import Job, Origin
from pruneproof.errors import PruneProofError

_STORE_BYTES = 2**28
"""Of Ray's object store, where the pictures of tasks in hand lie; what has no room goes to Ray's folder on disk."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be done, and with what."""

    job: Job
    origin: Origin
    address: str
    """RAY_ADDRESS; empty for a Ray of this machine."""
    device: str
    """`auto`, `cpu` or `cuda`."""
    workers: int | None
    """How many; None for as many as there is room for."""
    cores: int
    """Of this machine, for a Ray of its own."""
    variables: dict[str, str]
    """Environment of the actors."""
    folder: Path
    """For Ray's files and the log of this process."""


@dataclass(frozen=True, slots=True)
class Connected:
    """Workers are being started; a line says how many and where."""

    line: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A task is wanted: the answer is one, or None if there are no more."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A cell."""

    key: str
    table: pa.Table


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that the user should know, and that stops nothing."""

    line: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Something that the user must mend."""

    line: str


@dataclass(frozen=True, slots=True)
class Broke:
    """A defect, with its traceback."""

    traceback: str


@dataclass(frozen=True, slots=True)
class Ended:
    """All tasks are finished."""


def drive(pipe: Connection, request: Request) -> None:
    """Body of the process; it ends when the stage's end of the pipe is closed, and Ray with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _silence(request.folder / "driver.log")
    try:
        pipe.send(_drive(pipe, request))
    except (EOFError, ConnectionError):  # the stage has ended
        pass
    except PruneProofError as error:
        pipe.send(Refused(str(error)))
    except Exception:
        pipe.send(Broke(traceback.format_exc()))
    finally:
        if "ray" in sys.modules:
            sys.modules["ray"].shutdown()
        end_left(request.folder)
        shutil.rmtree(request.folder, ignore_errors=True)


def end_left(folder: Path) -> None:
    """End what Ray left running of a node that did not start; its processes name their folder.

    Args:
        folder: of Ray's files, of this run alone.
    """
    left = []
    for process in psutil.process_iter(["cmdline"]):
        if process.pid != os.getpid() and any(str(folder) in part for part in process.info["cmdline"] or ()):
            with suppress(psutil.Error):
                process.kill()
                left.append(process)
    psutil.wait_procs(left, timeout=5)


def _drive(pipe: Connection, request: Request) -> Ended:
    import ray

    from pruneproof.answering.engines._ray_crew import Crew

    connect(request)
    device, count, line = plan(ray.nodes(), request)
    pipe.send(Connected(line))
    Crew(pipe, replace(request.job, devices=(device,)), request.origin).answer_all(count)
    return Ended()


def _silence(log: Path) -> None:
    """Send what this process and Ray write to the terminal into a file."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(file, stream)


def connect(request: Request) -> None:
    """Connect to the cluster, or start Ray on this machine.

    Raises:
        PruneProofError: with the first line of what Ray says.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_worker_niceness", "0")  # else a Ray of this machine gives way to every other program
    import ray

    own: dict[str, Any] = {
        "num_cpus": request.cores,
        "include_dashboard": False,
        "object_store_memory": _STORE_BYTES,
        "_temp_dir": str(request.folder),
    }
    try:
        ray.init(
            address=request.address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": request.variables},
            **({} if request.address else own),
        )
    except Exception as error:  # plain ones, too: for a node that did not start within 30 s
        said = next(iter(str(error).splitlines()), repr(error)).rstrip(":. ")
        hint = _token_wanted(request) or _too_busy(request, said)
        raise PruneProofError(f"Ray cannot be used {_place(request)}: {said}{hint}") from None


def _token_wanted(request: Request) -> str:
    """What Ray leaves unsaid: to an address that it is given it shows no token unless told to, and it does not say that
    another one was wanted."""
    if not request.address:
        return ""
    if os.environ.get("RAY_AUTH_MODE", "").lower() == "token":
        return " (if the cluster is there, its token may be another: compare ~/.ray/auth_token here and on its head)"
    return " (if `ray start` made a cluster that asks for a token: set RAY_AUTH_MODE=token here and on every node)"


def _too_busy(request: Request, said: str) -> str:
    """Ray gives a node of its own 30 s to start (`ray._private.node`), which cannot be changed."""
    if request.address or "timed out" not in said:
        return ""
    return " (run again when the machine is less busy, or leave PRUNEPROOF_ENGINE unset)"


def plan(nodes: Sequence[Mapping[str, Any]], request: Request) -> tuple[str, int, str]:
    """Decide on the device and the number of workers; each takes one CPU, and on an accelerator one GPU.

    Args:
        nodes: what `ray.nodes()` gives.
        request: what is asked for.

    Returns:
        The device, the number, and a line that says so.

    Raises:
        PruneProofError: if the nodes together have no room for that, even when nothing else runs on them.
    """
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    gpus, cpus = (int(sum(node.get(kind, 0) for node in alive)) for kind in ("GPU", "CPU"))
    cluster = (
        f"Ray {_place(request)} ({_counted(len(alive), 'node')}, {_counted(cpus, 'CPU')}, {_counted(gpus, 'GPU')})"
    )
    device = "cuda" if request.device == "cuda" or (request.device == "auto" and gpus) else "cpu"
    each = "one CPU and one GPU" if device == "cuda" else "one CPU"
    room = sum(room_of(node, device) for node in alive)
    if not room:
        remedy = "set PRUNEPROOF_DEVICE=cpu" if device == "cuda" else "add a node with a CPU"
        raise PruneProofError(f"{cluster} has no room for a worker with {each}: {remedy}")
    if request.workers is not None and request.workers > room:
        raise PruneProofError(
            f"PRUNEPROOF_WORKERS is {request.workers}, but {cluster} has room for {_counted(room, 'worker')} with "
            f"{each}{' each' if room > 1 else ''}: lower it{' or add nodes' if request.address else ''}"
        )
    count = request.workers or room
    return (
        device,
        count,
        f"answering on {cluster}: {_counted(count, 'worker')} with {each}{' each' if count > 1 else ''}",
    )


def room_of(resources: Mapping[str, float], device: str) -> int:
    """How many workers fit on a node with these resources."""
    cpus, gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0))
    return min(cpus, gpus) if device == "cuda" else cpus


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _place(request: Request) -> str:
    return f"at {request.address}" if request.address else "on this machine"
