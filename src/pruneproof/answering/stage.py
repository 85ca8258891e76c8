"""The stage `answer_questions`: all conditions for one backbone, with every method of the study."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pruneproof import machine, pruning
from pruneproof.answering import engines, manifest
from pruneproof.answering.grid import Asking, Rows, read_asking, sheets
from pruneproof.answering.store import CELL, Store, fingerprint
from pruneproof.answering.worker import Cell, Job, Origin, Task
from pruneproof.digests import remembered
from pruneproof.errors import PruneProofError
from pruneproof.files import replacing, sweep
from pruneproof.folders import Folders
from pruneproof.pruning.protocol import Signals
from pruneproof.records import ANSWERS, LOGITS
from pruneproof.settings import MethodSettings, Study

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of one method, in the order in which it is asked."""

    asking: Asking
    keys: tuple[str, ...]
    """Fingerprints, one for each batch of `asking`."""


def run(study: Study, folders: Folders, backbone: str) -> None:
    """Write `answers/<backbone>/` and `logits/<backbone>/`, one table per method; stored cells are not asked again.

    Raises:
        PruneProofError: if a checkpoint is missing, a worker was killed, or the engine cannot do what is asked of it.
    """
    with remembered(folders.cells / "digests.json") as digests:
        facts = manifest.of_backbone(study, folders, backbone, digests)
    methods = study.methods_of(backbone)
    cells = cells_of(study, folders, facts, methods)
    sweep(folders.cells)
    store = Store(folders.cells)
    missing: dict[str, list[tuple[str, str]]] = {}
    for method, own in cells.items():
        for content, key in zip(own.asking.contents, own.keys, strict=True):
            if store.get(key) is None:
                missing.setdefault(content, []).append((key, method))
    if missing:
        wanted = (pruning.load(chosen).signals for chosen in methods.values())
        job = Job(
            study.backbones[backbone],
            reduce(or_, wanted, Signals()),
            study.study.seed,
            folders.study / study.study.root,
            store,
            folders.features,
            facts.encoder,
        )
        left = sum(map(len, missing.values()))
        total = sum(len(own.keys) for own in cells.values())
        origin = Origin(study, folders, backbone, facts)
        _answer(job, origin, _tasks(study, folders, methods, facts, missing), left, total)
    lacking: Counter[str] = Counter()
    for method, own in cells.items():
        lacking |= _write(folders, backbone, method, own, store)
    _report(lacking)


def cells_of(
    study: Study, folders: Folders, facts: manifest.Manifest, methods: Mapping[str, MethodSettings]
) -> dict[str, Cells]:
    """The cells of some methods with the backbone of a manifest.

    Raises:
        PruneProofError: if a table of pictures or questions is missing.
    """
    kinds = {name: _kind(chosen) for name, chosen in methods.items()}
    asked = {kind: read_asking(study, folders, *kind) for kind in sorted(set(kinds.values()))}
    return {
        method: Cells(asked[kind], tuple(fingerprint(facts.base(method), content) for content in asked[kind].contents))
        for method, kind in kinds.items()
    }


def _kind(chosen: MethodSettings) -> tuple[bool, bool]:
    """Whether a method selects by the question, and whether it looks at clean pictures only."""
    return pruning.load(chosen).per_question, chosen.rank_from == "clean"


def _tasks(
    study: Study,
    folders: Folders,
    methods: Mapping[str, MethodSettings],
    facts: manifest.Manifest,
    missing: dict[str, list[tuple[str, str]]],
) -> Iterator[Task]:
    """The batches with missing cells, read again: the pictures of all of them may not fit in memory.

    What several kinds of method ask comes once, for all methods.
    """
    left = dict(missing)
    for by_question, clean in sorted({_kind(chosen) for chosen in methods.values()}, reverse=True):
        for sheet in sheets(study, folders, by_question, ranks_clean=clean) if left else ():
            for batch in sheet.batches:
                wanted = left.pop(batch.content, [])
                if wanted:
                    cells = (Cell(key, name, methods[name], facts.base(name)) for key, name in wanted)
                    yield Task(batch, tuple(cells))


def _answer(job: Job, origin: Origin, tasks: Iterable[Task], missing: int, total: int) -> None:
    """Answer what is missing of all cells with the engine that the environment names."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    answer = engines.load(machine.engine())
    columns = (TextColumn(f"answering {origin.backbone}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("", total=total, completed=total - missing)
        progress.live.transient = True  # what is refused before the first answer leaves no empty bar
        for finished in answer(job, origin, tasks):
            progress.live.transient = False
            progress.advance(bar, finished)


def _write(folders: Folders, backbone: str, method: str, own: Cells, store: Store) -> Counter[str]:
    """Lay the cells of a method out as rows of samples, one condition in memory at a time.

    Returns:
        Why questions have no answer, with the number of conditions.
    """
    lacking: Counter[str] = Counter()
    with (
        _writer(folders.answers_of(backbone, method), ANSWERS) as answers,
        _writer(folders.logits_of(backbone, method), LOGITS) as logits,
    ):
        for rows in own.asking.rows:
            table = _rows(rows, own, store)
            here = pc.equal(table["error"], "")
            lacking.update(pc.unique(table["error"].filter(pc.invert(here))).to_pylist())
            table = table.filter(here)
            for writer, schema in ((answers, ANSWERS), (logits, LOGITS)):
                writer.write_table(table.select(schema.names).cast(schema).combine_chunks())
    return lacking


@contextmanager
def _writer(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    with replacing(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        yield writer


def _rows(rows: Rows, own: Cells, store: Store) -> pa.Table:
    """The answers of one condition, with what says whose they are."""
    ends = np.cumsum(own.asking.sizes)
    cell = np.searchsorted(ends, rows.answers, side="right")
    wanted, place = np.unique(cell, return_inverse=True)
    found = [store.get(own.keys[number]) for number in wanted]
    tables = [table for table in found if table is not None]
    if len(tables) < len(found):
        raise PruneProofError("finished answers were removed while they were read: run `dvc repro` again")
    starts = np.cumsum([0, *(table.num_rows for table in tables)])
    sizes = np.array(own.asking.sizes, np.int64)
    local = starts[place] + rows.answers - (ends - sizes)[cell] if len(cell) else rows.answers
    answers = pa.concat_tables([CELL.empty_table(), *tables]).take(pa.array(local, pa.int64()))
    columns = {name: table[name] for table in (rows.table, answers) for name in table.column_names}
    return pa.table(columns)


def _report(lacking: Counter[str]) -> None:
    """One warning for each image and reason."""
    for reason, conditions in sorted(lacking.items()):
        log.warning("%s (conditions: %d)", reason, conditions)
