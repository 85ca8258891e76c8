"""The stage `answer_questions`: all conditions for one backbone, with every method of the study."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from operator import or_

import pyarrow as pa

from pruneproof import machine, pruning
from pruneproof.answering import manifest
from pruneproof.answering.grid import Asking, read_asking, sheets
from pruneproof.answering.store import CELL, Store, fingerprint
from pruneproof.answering.worker import Cell, Job, Task, finish, load
from pruneproof.digests import remembered
from pruneproof.errors import PruneProofError
from pruneproof.files import write_table
from pruneproof.folders import Folders
from pruneproof.pruning.protocol import Signals
from pruneproof.records import ANSWERS, LOGITS
from pruneproof.settings import MethodSettings, Study
from pruneproof.workers import Start, run_in_order


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of one method, in the order in which it is asked."""

    asking: Asking
    keys: tuple[str, ...]
    """Fingerprints, one for each batch of `asking`."""


def run(study: Study, folders: Folders, backbone: str) -> None:
    """Write `answers/<backbone>/` and `logits/<backbone>/`, one table per method; stored cells are not asked again.

    Raises:
        PruneProofError: if a checkpoint is missing or a worker was killed.
    """
    with remembered(folders.cells / "digests.json") as digests:
        facts = manifest.of_backbone(study, folders, backbone, digests)
    methods = study.methods_of(backbone)
    cells = cells_of(study, folders, facts, methods)
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
            machine.device(),
            store,
            folders.features,
            facts.encoder,
        )
        left = sum(map(len, missing.values()))
        total = sum(len(own.keys) for own in cells.values())
        _answer(job, _tasks(study, folders, methods, facts, missing), left, total, backbone)
    for method, own in cells.items():
        _write(folders, backbone, method, own, store)


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


def _answer(job: Job, tasks: Iterable[Task], missing: int, total: int, title: str) -> None:
    """Answer what is missing of all cells, on all cores of a CPU or in one process on an accelerator."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    workers = machine.workers() if job.device == "cpu" else 1
    start: Start = "fork" if sys.platform == "linux" and job.device == "cpu" else "spawn"
    if workers == 1 or start == "fork":
        load(job)
    columns = (TextColumn(f"answering {title}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("", total=total, completed=total - missing)
        for _, finished in run_in_order(partial(finish, job), tasks, workers, partial(_prepare, job), start):
            progress.advance(bar, finished)


def _prepare(job: Job) -> None:
    load(job)


def _write(folders: Folders, backbone: str, method: str, own: Cells, store: Store) -> None:
    """Lay the cells of a method out as rows of samples."""
    found = [store.get(key) for key in own.keys]
    tables = [table for table in found if table is not None]
    if len(tables) < len(found):
        raise PruneProofError("finished answers were removed while they were read: run `dvc repro` again")
    answers = pa.concat_tables([CELL.empty_table(), *tables]).take(pa.array(own.asking.answers, pa.int64()))
    columns = {name: source[name] for source in (own.asking.rows, answers) for name in source.column_names}
    for path, schema in ((folders.answers_of, ANSWERS), (folders.logits_of, LOGITS)):
        table = pa.table([columns[name] for name in schema.names], schema=schema)
        write_table(path(backbone, method), table.combine_chunks())
