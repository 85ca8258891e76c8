"""A campaign that is ended leaves no process of its own behind: not a stage, not a server, not what these started."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

_USUAL = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
"""What a process does by itself; a fork goes back to it, since a stage must be killed as outside of a campaign."""


@contextmanager
def nothing_left() -> Iterator[None]:
    """End everything that this process started when it gets SIGTERM or an interrupt, and then itself.

    Raises:
        SystemExit: with 128 and the signal's number, when it gets one.
    """
    for number in _USUAL:
        signal.signal(number, _end)
    os.register_at_fork(after_in_child=_as_usual)
    try:
        yield
    finally:
        _as_usual()


def _as_usual() -> None:
    for number, usual in _USUAL.items():
        if signal.getsignal(number) is _end:
            signal.signal(number, usual)


def _end(number: int, frame: object) -> None:
    # Before anything is unwound: once a child is gone, what it started has another parent and is not found.
    for _ in range(100):
        running = [one for one in psutil.Process().children(recursive=True) if _runs(one)]
        if not running:
            break
        for one in running:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        time.sleep(0.01)
    raise SystemExit(128 + number)


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
