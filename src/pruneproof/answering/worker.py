"""What a worker process does: load a backbone once, answer batches with every method, and store each cell at once."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pruneproof import machine, pruning
from pruneproof.answering.batch import Batch
from pruneproof.answering.store import Store
from pruneproof.settings import BackboneSettings, MethodSettings

if TYPE_CHECKING:
    from pruneproof.answering.answerer import Answerer


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker needs to load before its first batch, and where it puts what it finishes."""

    backbone: BackboneSettings
    attention_layers: tuple[int, ...]
    """Layers whose CLS attention any method of the study looks at."""
    study_seed: int
    root: Path
    device: str
    store: Store
    features: Path
    encoder: str
    """Digest of what encoded images depend on (`Manifest.encoder`), under which they are kept."""


@dataclass(frozen=True, slots=True)
class Task:
    """A batch, and the methods whose cells of it are missing."""

    batch: Batch
    cells: tuple[tuple[str, MethodSettings], ...]
    """Fingerprint of each cell, and its method."""


_LOADED: dict[Job, Answerer] = {}
"""The answerer of this process; a forked worker inherits it, a spawned one loads its own."""


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
    if job not in _LOADED:
        _LOADED.clear()
        features = FeatureStore(job.features, job.encoder, machine.feature_bytes())
        _LOADED[job] = load_answerer(job.backbone, job.study_seed, job.root, job.device, features, job.attention_layers)
    return _LOADED[job]


def finish(job: Job, task: Task) -> int:
    """Answer a batch with each of its methods, on images that are encoded once; returns the number of cells stored."""
    answerer = load(job)
    images = answerer.encode(task.batch)
    for key, method in task.cells:
        table = answerer.answer(task.batch, images, pruning.load(method))
        try:
            job.store.put(key, table)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            answerer.features.clear()
            job.store.put(key, table)
    return len(task.cells)
