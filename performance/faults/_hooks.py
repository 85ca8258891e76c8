"""What a disturbed process meets: another clock, files that may not grow, rights that root has and others lack.

Applied in a process of the campaign by a call, and in one that DVC starts by `inject/sitecustomize.py`, which reads
them from the environment.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import resource
import time
from dataclasses import asdict, dataclass
from pathlib import Path

VARIABLE = "PRUNEPROOF_FAULTS"
INJECT = Path(__file__).resolve().parent / "inject"
"""The folder to put into PYTHONPATH."""
_CAPABILITY_VERSION = 0x20080522
_OVERRIDES = 0b110
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, by which root reads and writes whatever permissions say."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a process meets."""

    clock: float = 0.0
    """Seconds by which the clock is ahead, negative if it is late."""
    largest_file: int | None = None
    """Bytes that a file may have: writing more fails with EFBIG."""
    like_others: bool = False
    """Whether permissions hold for root as well."""
    steady: bool = True
    """Whether what is measured takes equally long every time, so that costs can be compared by their bytes."""

    def environment(self) -> dict[str, str]:
        """What `sitecustomize` reads."""
        return {VARIABLE: json.dumps(asdict(self))}


UNDISTURBED = Hooks()


def apply(hooks: Hooks) -> None:
    """Make this process, and those that it starts, meet all that."""
    os.environ |= hooks.environment()
    if hooks.steady:
        ticks = itertools.count()
        time.perf_counter = lambda: next(ticks) / 1000
    if hooks.clock:
        _shift(hooks.clock)
    if hooks.largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hooks.largest_file, resource.RLIM_INFINITY))
    if hooks.like_others and os.geteuid() == 0:
        _without_overrides()


def from_environment() -> None:
    """The same, as the environment says."""
    if text := os.environ.get(VARIABLE):
        apply(Hooks(**json.loads(text)))


def _shift(seconds: float) -> None:
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + seconds
    time.time_ns = lambda: now_ns() + int(seconds * 1e9)


def _without_overrides() -> None:
    """Give up, in this process and those that it starts, what lets root pass by permissions."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()
    libc.capget(header, sets)
    for number in range(3):  # effective, permitted, inheritable
        sets[number] &= ~_OVERRIDES
    for capability in (1, 2):
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
    if libc.capset(header, sets):
        raise OSError(ctypes.get_errno(), "capset")
