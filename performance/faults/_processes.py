"""One stage as a process of its own: a fork of this one, which has loaded torch, MLflow and Matplotlib already.

So hundreds of whole runs take an hour and not a day. `dvc` starts real processes instead; `kills` and `twins` do some
trials through it.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import util
from pathlib import Path

import psutil
from performance.faults._hooks import UNDISTURBED, Hooks, apply
from performance.faults._world import DEFECT, HUNG, LONGEST, World, environment

_HEAVY = (
    "torch", "open_clip", "transformers", "mlflow.store.tracking.sqlalchemy_store", "mlflow.tracking", "pandas",
    "matplotlib.pyplot", "scipy.stats", "imagecorruptions", "nlpaug", "skimage", "cv2", "numba", "jinja2",
    "alembic.script",
)  # fmt: skip
Meanwhile = Callable[[int, str], None]
"""What is done while a stage runs, again and again: given its process id and its name."""


def preload() -> None:
    """Load what stages import, before the first fork."""
    import torch

    torch.set_num_threads(1)
    from pruneproof import cli
    from pruneproof.tracking import store

    os.environ |= store.DEFAULTS  # MLflow reads them when it is imported
    for name in _HEAVY:
        importlib.import_module(name)
    for module, _ in cli.STAGES.values():
        if not module.startswith("pruneproof.training"):
            importlib.import_module(module)
    for name in ("answering.answerer", "answering.features", "backbones.families.llava", "reporting.figures"):
        importlib.import_module(f"pruneproof.{name}")


@dataclass(frozen=True, slots=True)
class Process:
    """A stage that is running."""

    pid: int
    name: str
    log: Path

    def wait(self, meanwhile: Meanwhile | None = None) -> tuple[int, str]:
        """Its exit code and what it printed; it is given up after `LONGEST` seconds."""
        deadline = time.monotonic() + LONGEST
        while time.monotonic() < deadline:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status), self.log.read_text(encoding="utf-8", errors="replace")
            if meanwhile is not None:
                meanwhile(self.pid, self.name)
            time.sleep(0.005)
        os.kill(self.pid, signal.SIGUSR1)  # where it hangs
        time.sleep(1)
        os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        where = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
        return HUNG, f"not done after {LONGEST} seconds: {where}"


def start(world: World, arguments: tuple[str, ...], hooks: Hooks = UNDISTURBED) -> Process:
    """Start one stage in a process that leads a group of its own."""
    log = world.folder.parent / f"{world.folder.name}.{arguments[0]}.{time.monotonic_ns()}.log"
    log.touch()  # it may be killed before it opens it
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return Process(pid, arguments[0], log)
    code = DEFECT
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        faulthandler.register(signal.SIGUSR1)
        os.chdir(world.folder)
        os.environ |= environment(world)
        apply(hooks)
        from pruneproof import cli

        code = cli.main(list(arguments))
    except KeyboardInterrupt:  # before `main`: as `__main__` says it
        print("pruneproof: interrupted", file=sys.stderr)
        code = 130
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else 1
    except BaseException:  # a fault may raise anything; the campaign must not go on twice
        traceback.print_exc()
    finally:
        util._exit_function()  # a process of its own ends so, and frees the semaphores of its pools
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(
    world: World, arguments: tuple[str, ...], hooks: Hooks = UNDISTURBED, meanwhile: Meanwhile | None = None
) -> tuple[int, str]:
    """Run one stage, and give its exit code and what it printed."""
    process = start(world, arguments, hooks)
    return process.wait(meanwhile)


def left_running(pid: int, wait: float = 10.0) -> list[str]:
    """Processes of a stage's session that are there so long after it ended."""
    deadline = time.monotonic() + wait
    while found := _of_session(pid):
        if time.monotonic() > deadline:
            return found
        time.sleep(0.05)
    return []


def _of_session(number: int) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == number and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} {process.name()}")
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found
