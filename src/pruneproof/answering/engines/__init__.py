"""Where batches are answered, with the same bytes: processes of this machine (`pool`) or a Ray cluster (`ray`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from pruneproof.answering.worker import Job, Origin, Task


class Engine(Protocol):
    """Answers tasks and stores each cell as soon as it is finished."""

    def __call__(self, job: Job, origin: Origin, tasks: Iterable[Task]) -> Iterator[int]:
        """Answer all tasks.

        Args:
            job: what workers load, and where cells are stored.
            origin: what workers elsewhere must have in common with this process.
            tasks: all of them; taken only when a worker is nearly free, so that they may come from a generator.

        Yields:
            Numbers of cells that are now in the store and were not before.

        Raises:
            PruneProofError: if the machines cannot do what is asked of them, or a worker was killed. What is stored
                stays stored.
        """
        ...


def load(name: str) -> Engine:
    """The engine of that name (`machine.ENGINES`); nothing of another one is imported."""
    if name == "ray":
        from pruneproof.answering.engines import ray

        return ray.run
    from pruneproof.answering.engines import pool

    return pool.run
