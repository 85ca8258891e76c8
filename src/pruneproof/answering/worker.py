"""What a worker does: load a backbone once, answer batches with every method, and hand over each cell at once."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from pruneproof import machine, pruning, workers
from pruneproof.allocator import keep_freed_memory
from pruneproof.answering.batch import Batch
from pruneproof.answering.manifest import Manifest
from pruneproof.answering.store import CELL, Store, unanswered
from pruneproof.folders import Folders
from pruneproof.pruning.protocol import Signals, encodes_itself
from pruneproof.settings import BackboneSettings, MethodSettings, Study

if TYPE_CHECKING:
    from pruneproof.answering.answerer import Answerer


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker needs to load before its first batch, and where what it finishes is put."""

    backbone: BackboneSettings
    signals: Signals
    """What any method of the study looks at."""
    study_seed: int
    root: Path
    """The project's, to which checkpoints are relative."""
    store: Store
    features: Path
    encoder: str
    """Digest of what encoded images depend on (`Manifest.encoder`), under which they are kept."""
    devices: tuple[str, ...] = ()
    """Torch devices of the workers by number, and from the first again; the engine chooses them."""

    @property
    def device(self) -> str:
        """Of this process."""
        return self.devices[workers.number() % len(self.devices)]


@dataclass(frozen=True, slots=True)
class Origin:
    """What answers are made from. A worker on another machine must find the same there."""

    study: Study
    folders: Folders
    backbone: str
    """Its id in the study."""
    facts: Manifest
    """What `manifest.of_backbone` says of it here."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One method's answers to one batch."""

    key: str
    """Its fingerprint."""
    name: str
    """Id of the method."""
    method: MethodSettings
    base: str
    """`Manifest.base` of the method."""


@dataclass(frozen=True, slots=True)
class Task:
    """A batch, and the methods whose cells of it are missing."""

    batch: Batch
    cells: tuple[Cell, ...]


_LOADED: dict[Job, Answerer] = {}
"""The answerer of this process; a forked worker inherits it, any other loads its own."""


def load(job: Job) -> Answerer:
    """The answerer of this process, which holds one at a time.

    On a CPU every process has one thread, also when there is one process: the last bits of a product differ with the
    number of threads, and answers must not.
    """
    import torch

    from pruneproof.answering.answerer import load_answerer
    from pruneproof.answering.features import FeatureStore

    if job.device == "cpu":
        torch.set_num_threads(1)
        keep_freed_memory()
    if job not in _LOADED:
        _LOADED.clear()
        features = FeatureStore(job.features, job.encoder, machine.feature_bytes())
        _LOADED[job] = load_answerer(job.backbone, job.study_seed, job.root, job.device, features, job.signals)
    return _LOADED[job]


def finish(job: Job, task: Task) -> int:
    """Answer a batch with each of its methods and store each cell at once; returns their number.

    Raises:
        PruneProofError: if a picture is missing or has changed.
    """
    for key, table in answers(job, task):
        keep(job, key, table)
    return len(task.cells)


def answers(job: Job, task: Task) -> Iterator[tuple[str, pa.Table]]:
    """The cells of a batch by fingerprint, as they are finished, on images that are encoded once.

    Raises:
        PruneProofError: if a picture is missing or has changed.
    """
    answerer = load(job)
    methods = [pruning.load(cell.method) for cell in task.cells]
    batch, lacking = task.batch.held()
    images = answerer.encode(batch) if batch.images and not all(map(encodes_itself, methods)) else ()
    for cell, method in zip(task.cells, methods, strict=True):
        answered = answerer.answer(batch, images, method, cell.name, cell.base) if batch.images else CELL.empty_table()
        yield cell.key, _complete(answered, task.batch, lacking)


def keep(job: Job, key: str, table: pa.Table) -> None:
    """Store a cell; if the disk is full, encoded images make room for it.

    Raises:
        OSError: if it is full without them, too.
    """
    try:
        job.store.put(key, table)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        shutil.rmtree(job.features, ignore_errors=True)
        job.store.put(key, table)


def _complete(answered: pa.Table, batch: Batch, lacking: Mapping[int, str]) -> pa.Table:
    """A row for every question of the batch, where those on some pictures have no answer."""
    parts, at = [], 0
    for number, image in enumerate(batch.images):
        asked = len(image.questions)
        parts.append(unanswered(asked, lacking[number]) if number in lacking else answered.slice(at, asked))
        at += 0 if number in lacking else asked
    return pa.concat_tables(parts) if lacking else answered
