"""Work on several processes, in order, with none left running: shared by every stage that uses all cores."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from threading import Thread
from typing import TYPE_CHECKING, Literal, TypeVar

from pruneproof.errors import PruneProofError

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

Task = TypeVar("Task")
Result = TypeVar("Result")

Start = Literal["spawn", "fork"]

_AHEAD = 2
"""Tasks handed out for each worker: enough that none waits, few enough that large tasks do not fill the memory."""


def run_in_order(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    workers: int,
    prepare: Callable[[], None] | None = None,
    start: Start = "spawn",
) -> Iterator[tuple[Task, Result]]:
    """Run tasks on several processes and yield each with its result, in the order given.

    With one worker everything runs in this process. The processes end when this one does, however it ends. Tasks are
    taken only when a worker is nearly free, so that they may come from a generator and never be there all at once.

    Args:
        function: what is done with a task; must be importable by name.
        tasks: all tasks.
        workers: number of processes.
        prepare: runs once in every worker before its first task.
        start: `spawn` gives each worker a fresh interpreter, so that it inherits no lock and no random state; `fork`
            lets it share what this process has loaded, which is safe only while no thread computes here.

    Raises:
        PruneProofError: if a worker was killed.
    """
    coming = iter(tasks)
    first = list(islice(coming, workers))
    if len(first) < 2:
        yield from ((task, function(task)) for task in chain(first, coming))
        return
    context = multiprocessing.get_context(start)
    pool = ProcessPoolExecutor(
        len(first),
        mp_context=context,
        initializer=_prepare,
        initargs=(prepare, context.Value("i", 0)),
    )
    try:
        waiting: deque[tuple[Task, Future[Result]]] = deque()
        for task in chain(first, coming):
            waiting.append((task, pool.submit(function, task)))
            if len(waiting) >= _AHEAD * workers:
                yield _result(*waiting.popleft())
        while waiting:
            yield _result(*waiting.popleft())
    except BrokenProcessPool:
        raise PruneProofError(
            f"{'the worker' if workers == 1 else f'one of {workers} workers'} was killed, probably out of memory: "
            "run again with a smaller PRUNEPROOF_WORKERS; finished work is kept"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _result(task: Task, future: Future[Result]) -> tuple[Task, Result]:
    return task, future.result()


_number = 0


def number() -> int:
    """Number of this process among the workers that were started together, from 0; 0 in any other process."""
    return _number


def _prepare(prepare: Callable[[], None] | None, started: Synchronized[int]) -> None:
    """A worker takes a number, leaves interrupts to its parent, ends when told to, and exits when its parent dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    global _number
    with started.get_lock():
        _number = started.value
        started.value += 1
    Thread(target=_end_with_parent, daemon=True).start()
    if prepare is not None:
        prepare()


def _end_with_parent() -> None:
    """A pool's processes wait for work for ever if their parent is killed; these do not."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
