"""What runs on the nodes of a Ray cluster: a worker that keeps its model through all tasks."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from pruneproof.answering import manifest
from pruneproof.answering.batch import Batch
from pruneproof.answering.worker import Cell, Job, Origin, Task, answers, load
from pruneproof.digests import remembered
from pruneproof.errors import PruneProofError

_PARTS = ("packages", "weights", "sources", "vision", "methods", "tables")


class Actor:
    """One worker."""

    def __init__(self, job: Job, origin: Origin) -> None:
        self._job = job
        self._origin = origin

    def ready(self) -> None:
        """Load the model, once it is known to be the right one.

        Raises:
            PruneProofError: if something is missing on this node, or is not what the run started with.
        """
        try:
            require_same(self._origin)
            load(self._job)
        except PruneProofError as error:
            raise PruneProofError(f"node {socket.gethostname()}: {error}") from None

    def answer(self, batch: Batch, cells: tuple[Cell, ...]) -> Iterator[tuple[str, pa.Table]]:
        """Cells by fingerprint, as they are finished.

        Raises:
            PruneProofError: if a picture cannot be read.
        """
        yield from answers(self._job, Task(batch, cells))


def require_same(origin: Origin) -> None:
    """Make sure that answers given here are those that the run would store under its fingerprints.

    Raises:
        PruneProofError: if weights, packages or code differ from those that the run started with.
    """
    with remembered(origin.folders.cells / "digests.json") as digests:
        here = manifest.of_backbone(origin.study, origin.folders, origin.backbone, digests)
    for part in _PARTS:
        differs = _different(getattr(here, part), getattr(origin.facts, part))
        if differs:
            raise PruneProofError(
                f"{part} differ from those that the run started with ({', '.join(differs[:3])}): "
                "give every node the same project, packages and weights, and change none while it runs"
            )


def _different(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    return [str(name) for name in sorted({*here, *there}) if here.get(name) != there.get(name)]
