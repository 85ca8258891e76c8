"""The actors of a run and what each has in hand. Imports Ray."""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from pruneproof.answering.engines._ray_actor import Actor
from pruneproof.answering.engines._ray_driver import Finished, Wanted, Warned, room_of
from pruneproof.answering.worker import Job, Origin, Task
from pruneproof.errors import PruneProofError

_AHEAD = 2
"""Tasks in hand of each actor: enough that none waits, few enough that their pictures do not fill the memory."""
_LOSSES = 3
"""How often one task may lose its actor, and how often in a row actors may be lost while they start."""
_SAY_S = 30
"""After how long it is said that nothing has started, mostly because others use the cluster."""
_TURN_S = 1.0
"""How often the stage's process and the cluster are looked at while nothing happens."""


@dataclass(slots=True, eq=False)
class _Run:
    """A task in hand."""

    task: Task
    """With the cells that have not arrived."""
    batch: Any
    """Reference to its batch in the object store: an actor that takes it over finds the pictures there."""
    losses: int = 0
    items: Any = None
    """Reference to the cells that an actor gives out one by one."""


class Crew:
    """Actors that answer all tasks of the stage's process."""

    def __init__(self, pipe: Connection, job: Job, origin: Origin) -> None:
        self._pipe = pipe
        self._device = job.device
        self._inputs = (ray.put(job), ray.put(origin))
        self._starting: dict[Any, Any] = {}
        """Actors that load, by the reference that says when they are ready."""
        self._hands: dict[Any, deque[_Run]] = {}
        """What each ready actor has in hand; it works on the first."""
        self._again: deque[_Run] = deque()
        """Tasks whose actor was lost."""
        self._more = True
        """Whether the stage's process has further tasks."""
        self._losses = 0
        """Actors lost in a row while they started."""
        self._waiting_since: float | None = time.monotonic()

    def answer_all(self, count: int) -> None:
        """Answer all tasks with a number of actors, and replace those that are lost.

        Raises:
            EOFError: if the stage's process has ended.
            PruneProofError: for what the user can mend.
        """
        for _ in range(count):
            self._start()
        while self._hand_out():
            if self._pipe.poll():  # it sends nothing that it was not asked for
                raise EOFError
            self._wait()

    def _start(self) -> None:
        gpus = 1 if self._device == "cuda" else 0
        # No restarts or retries by Ray: it would ask again for cells that have arrived.
        options = {"num_cpus": 1, "num_gpus": gpus, "max_restarts": 0, "max_task_retries": 0}
        actor = ray.remote(Actor).options(**options).remote(*self._inputs)
        self._starting[actor.ready.remote()] = actor

    def _hand_out(self) -> bool:
        """Fill all hands; returns whether anything is left to do."""
        for _ in range(_AHEAD):
            for actor, runs in self._hands.items():
                if len(runs) < _AHEAD and (run := self._next()):
                    cells = run.task.cells
                    run.items = actor.answer.options(num_returns="streaming").remote(run.batch, cells)
                    runs.append(run)
        return bool(self._more or self._again or any(self._hands.values()))

    def _next(self) -> _Run | None:
        if self._again:
            return self._again.popleft()
        if self._more:
            self._pipe.send(Wanted())
            task: Task | None = self._pipe.recv()
            if task is not None:
                return _Run(task, ray.put(task.batch))
            self._more = False
        return None

    def _wait(self) -> None:
        """Wait until an actor is ready or a cell has arrived, but not for long."""
        first = {runs[0].items: actor for actor, runs in self._hands.items() if runs}
        ready, _ = ray.wait([*first, *self._starting], num_returns=1, timeout=_TURN_S)
        for one in ready:
            if one in self._starting:
                self._welcome(one)
            else:
                self._receive(first[one])
        if not self._hands:
            self._require_room()

    def _welcome(self, reference: Any) -> None:
        actor = self._starting.pop(reference)
        try:
            ray.get(reference)
        except RayTaskError as error:
            raise _cause(error) from None
        except RayError:
            self._losses += 1
            if self._losses >= _LOSSES:
                raise PruneProofError(
                    f"{_LOSSES} workers in a row were lost while they loaded their model, probably out of memory: run "
                    "again with a smaller PRUNEPROOF_WORKERS; finished work is kept"
                ) from None
            self._pipe.send(Warned("a Ray worker was lost while it loaded its model: another one starts"))
            self._start()
        else:
            self._losses, self._waiting_since = 0, None
            self._hands[actor] = deque()

    def _receive(self, actor: Any) -> None:
        """Take one cell from an actor and pass it on, or see that it has no more of a task, or that it is lost."""
        runs = self._hands[actor]
        run = runs[0]
        try:
            key, table = ray.get(next(run.items))
        except StopIteration:
            runs.popleft()
            return
        except RayTaskError as error:
            raise _cause(error) from None
        except RayError:
            self._replace(actor)
            return
        run.task = replace(run.task, cells=tuple(cell for cell in run.task.cells if cell.key != key))
        self._pipe.send(Finished(key, table))

    def _replace(self, actor: Any) -> None:
        """Put what a lost actor had in hand first in line, and start another one."""
        runs = self._hands.pop(actor)
        with suppress(RayError):
            ray.kill(actor)
        runs[0].losses += 1
        if runs[0].losses >= _LOSSES:
            raise PruneProofError(
                f"{_LOSSES} workers were lost while they answered one batch, probably out of memory: run again with a "
                "smaller PRUNEPROOF_BATCH or PRUNEPROOF_WORKERS; finished work is kept"
            )
        self._again.extendleft(reversed(runs))
        self._pipe.send(Warned("a Ray worker was lost: another one goes on with its batches"))
        if not self._hands:
            self._waiting_since = time.monotonic()
        self._start()

    def _require_room(self) -> None:
        """While no actor is ready: stop if none can ever start, and say so if others are in the way."""
        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(room_of(node, self._device) for node in alive):
            raise PruneProofError(
                "no node of the Ray cluster is left that has room for a worker: finished work is kept, so run again"
            )
        if self._waiting_since is not None and time.monotonic() - self._waiting_since > _SAY_S:
            self._waiting_since = None
            self._pipe.send(
                Warned("waiting for Ray to start a worker: others use its nodes, or they are slow (`ray status`)")
            )


def _cause(error: RayTaskError) -> Exception:
    """What an actor raised: a user's mistake as it is, a defect with the actor's traceback."""
    cause = error.cause
    return PruneProofError(str(cause)) if isinstance(cause, PruneProofError) else error
