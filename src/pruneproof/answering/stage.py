"""The stage `answer_questions`: all conditions for one backbone and one method."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from pruneproof import machine
from pruneproof.answering.grid import Batch, batches
from pruneproof.answering.store import Store, base_fingerprint, encoder_fingerprint, fingerprint
from pruneproof.errors import PruneProofError
from pruneproof.files import write_table
from pruneproof.folders import Folders
from pruneproof.records import ANSWERS, LOGITS
from pruneproof.settings import BackboneSettings, MethodSettings, Study
from pruneproof.workers import Start, run_in_order


@dataclass(frozen=True, slots=True)
class _Job:
    """What a worker needs to load before its first batch, and where it puts what it finishes."""

    backbone: BackboneSettings
    method: MethodSettings
    study_seed: int
    root: Path
    device: str
    store: Store
    features: Path
    encoder: str
    """Fingerprint of the vision tower, under which encoded images are kept."""


@dataclass(frozen=True, slots=True)
class _Task:
    key: str
    batch: Batch


_LOADED: dict[str, object] = {}
"""The answerer of this process; a forked worker inherits it, a spawned one loads its own."""


def run(study: Study, folders: Folders, backbone: str, method: str) -> None:
    """Write `answers/<backbone>/<method>.parquet` and its logits; batches that the store holds are not answered again.

    Raises:
        PruneProofError: if a checkpoint is missing or a worker was killed.
    """
    root = folders.study / study.study.root
    store = Store(folders.cells)
    settings, chosen = study.backbones[backbone], study.methods[method]
    base = base_fingerprint(settings, chosen, study.study.seed, root)
    # Twice over the batches: their pixels together may not fit in memory.
    keys = [fingerprint(base, batch) for batch in batches(study, folders)]
    missing = {key for key in keys if not store.holds(key)}
    if missing:
        encoder = encoder_fingerprint(settings, root)
        job = _Job(settings, chosen, study.study.seed, root, machine.device(), store, folders.features, encoder)
        tasks = (_Task(key, batch) for key, batch in zip(keys, batches(study, folders), strict=True) if key in missing)
        _answer(job, tasks, len(missing), len(keys), f"{backbone} {method}")
    table = pa.concat_tables([store.get(key) for key in keys])
    for path, schema in ((folders.answers_of, ANSWERS), (folders.logits_of, LOGITS)):
        write_table(path(backbone, method), table.select(schema.names).combine_chunks())


def _answer(job: _Job, tasks: Iterable[_Task], missing: int, total: int, title: str) -> None:
    """Answer what is missing of all batches, on all cores of a CPU or in one process on an accelerator."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    workers = machine.workers() if job.device == "cpu" else 1
    start: Start = "fork" if sys.platform == "linux" and job.device == "cpu" else "spawn"
    if workers == 1 or start == "fork":
        _load(job)
    columns = (TextColumn(f"answering {title}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("", total=total, completed=total - missing)
        for _ in run_in_order(_finish, tasks, workers, partial(_load, job), start):
            progress.advance(bar)


def _load(job: _Job) -> None:
    """Load the answerer of this process, unless it is there already.

    On a CPU every process has one thread, also when there is one process: the last bits of a product differ with the
    number of threads, and answers must not.
    """
    import torch

    from pruneproof.answering.answerer import load_answerer
    from pruneproof.answering.features import FeatureStore

    if job.device == "cpu":
        torch.set_num_threads(1)
    if _LOADED.get("job") != job:
        features = FeatureStore(job.features, job.encoder, machine.feature_bytes())
        _LOADED["answerer"] = load_answerer(job.backbone, job.method, job.study_seed, job.root, job.device, features)
        _LOADED["job"] = job


def _finish(task: _Task) -> int:
    """Answer one batch and store it; returns the number of answers."""
    from pruneproof.answering.answerer import Answerer

    answerer, job = _LOADED["answerer"], _LOADED["job"]
    if not isinstance(answerer, Answerer) or not isinstance(job, _Job):
        raise PruneProofError("a worker was given work before it had loaded its model: run `dvc repro` again")
    table = answerer.answer(task.batch)
    job.store.put(task.key, table)
    return int(table.num_rows)
