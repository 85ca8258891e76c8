"""The study's own store, an SQLite file: how it is addressed, made whole or not at all, and locked for one writer."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pruneproof.errors import PruneProofError

_PLAIN = re.compile(r"[\w/. +-]+")
_BESIDE = ("", "-journal", "-wal", "-shm")
"""What SQLite keeps beside a file of a name."""


@contextlib.contextmanager
def address_of(database: Path) -> Iterator[str]:
    """The URI under which MLflow opens an absolute path.

    MLflow takes the URI's path as it stands (and makes its folder), SQLAlchemy 2.1 decodes it, 2.0 does not, and both
    end it at a question mark: no way of writing `?`, `%` or `#` is read alike by all. Such a file is named from within
    its folder, which is the working folder meanwhile.
    """
    if _PLAIN.fullmatch(str(database)):
        yield f"sqlite:///{database}"
    else:
        with contextlib.chdir(database.parent):
            yield f"sqlite:///{database.name}"


@contextlib.contextmanager
def alone(database: Path) -> Iterator[None]:
    """Hold the lock for recording a study; a process that dies releases it.

    Raises:
        PruneProofError: if another process holds it.
        OSError: if the folder cannot be written to.
    """
    with database.with_name(f"{database.name}-lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PruneProofError(
                f"another record_runs is recording {database.parent}: wait until it ends, then "
                "`dvc repro --single-item record_runs`"
            ) from None
        yield


def prepare(database: Path, make: Callable[[str], Any]) -> None:
    """Ensure that `database` exists and can be opened by this MLflow.

    Args:
        database: absolute path of the file.
        make: opens the URI that it is given with MLflow, which makes its tables there. That takes seconds and is no
            single step: it is done under another name, so that a killed process leaves no half of a store.

    Raises:
        PruneProofError: if the file is something else, or has the tables of another MLflow.
    """
    if exists(database):
        if why := fault(database) or _other_version(database):
            done = "all results are complete in data/ and reports/"
            raise PruneProofError(f"{why}; then run `dvc repro --single-item record_runs` ({done})")
        return
    new = database.with_name(f"{database.name}-new")
    for path in (new, database):
        for ending in _BESIDE:
            path.with_name(path.name + ending).unlink(missing_ok=True)
    with address_of(new) as uri:
        make(uri)
    os.replace(new, database)


def exists(database: Path) -> bool:
    """Whether there is anything to keep: SQLite makes an empty file before the first table."""
    return database.exists() and not (database.is_file() and database.stat().st_size == 0)


def fault(database: Path) -> str | None:
    """Why a file is not an MLflow store, found out without importing MLflow; None if it is one, or is not there yet."""
    if not exists(database):
        return None
    away = "move it away to begin a new one"
    if not database.is_file():
        return f"{database} is not a file: {away}"
    try:
        revisions = _revisions(database)
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            return f"{database} cannot be opened ({error}): fix it, or {away}"
        revisions = []
    except sqlite3.DatabaseError as error:
        return f"{database} is not a database ({error}): {away}"
    if len(revisions) != 1:
        return (
            f"{database} is not a complete MLflow database (its making was killed, or it is another program's): {away}"
        )
    return None


def tagged(database: Path, key: str) -> tuple[str, str] | None:
    """Id and name of the newest experiment that has a tag, found out without importing MLflow; None if none has it, and
    in a store of another kind. A study that was renamed has left experiments of its old name.
    """
    query = (
        "SELECT e.experiment_id, e.name FROM experiments e JOIN experiment_tags t USING (experiment_id) "
        "WHERE t.key = ? AND e.lifecycle_stage = 'active' ORDER BY e.experiment_id DESC LIMIT 1"
    )
    with contextlib.closing(_reading(database)) as connection, contextlib.suppress(sqlite3.OperationalError):
        for number, name in connection.execute(query, (key,)):
            return str(number), str(name)
    return None


def write_ahead(connection: Any, _: object) -> None:
    """Use SQLite's write-ahead log: MLflow commits nine times a run, and each would wait for the disk."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _reading(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True)


def _revisions(database: Path) -> list[str]:
    """The state of its tables, as Alembic notes it."""
    with contextlib.closing(_reading(database)) as connection:
        return [str(row[0]) for row in connection.execute("SELECT version_num FROM alembic_version")]


def _other_version(database: Path) -> str | None:
    """Why the tables are those of another MLflow: it would change an older file in place, step by step."""
    import mlflow
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    steps = ScriptDirectory(str(Path(mlflow.__file__).parent / "store" / "db_migrations"))
    (found,) = _revisions(database)
    if found == steps.get_current_head():
        return None
    away = "or move it away to begin a new one"
    try:
        steps.get_revision(found)
    except CommandError:
        return f"{database} was written by a newer MLflow than {mlflow.__version__}: install that one, {away}"
    return (
        f"{database} was written by an older MLflow: copy it, then run `mlflow db upgrade sqlite:///{database.name}` "
        f"in its folder, {away}"
    )
