"""What a store of MLflow says, without ids and times, which differ between two recordings of the same results."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections import defaultdict
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

_IDS = ("model_id", "mlflow.parentRunId", "superseded_by", "mlflow.note.content")
"""Tags that hold an id; notes link to runs."""


def recorded(database: Path, served: Path | None = None) -> dict[str, str]:
    """Digest of every current run, by experiment and cell; empty if there is no store.

    Current is what is finished, not deleted and not superseded.

    Args:
        database: of MLflow.
        served: where a server keeps artifacts.
    """
    if not database.exists():
        return {}
    with contextlib.closing(sqlite3.connect(database)) as connection:
        runs = _runs(connection)
        found: defaultdict[str, list[str]] = defaultdict(list)
        for number, (experiment, place) in runs.items():
            tags = dict(_all(connection, "SELECT key, value FROM tags WHERE run_uuid = ?", number))
            if "cell_id" not in tags or "superseded_by" in tags:
                continue
            facts = {
                "tags": sorted((key, value) for key, value in tags.items() if key not in _IDS),
                "params": sorted(_all(connection, "SELECT key, value FROM params WHERE run_uuid = ?", number)),
                "metrics": sorted(
                    set(_all(connection, "SELECT key, value, step FROM metrics WHERE run_uuid = ?", number))
                ),
                "artifacts": _artifacts(place, served),
            }
            found[f"{experiment}/{tags['cell_id']}"].append(repr(facts))
    return {name: hashlib.sha256("\n".join(sorted(many)).encode()).hexdigest() for name, many in found.items()}


def _runs(connection: sqlite3.Connection) -> dict[str, tuple[str, str]]:
    query = (
        "SELECT run_uuid, e.name, r.artifact_uri FROM runs r JOIN experiments e USING (experiment_id) "
        "WHERE r.lifecycle_stage = 'active' AND r.status = 'FINISHED'"
    )
    return {number: (name, place) for number, name, place in connection.execute(query)}


def _all(connection: sqlite3.Connection, query: str, *values: str) -> list[Any]:
    return list(connection.execute(query, values))


def _artifacts(place: str, served: Path | None) -> list[tuple[str, str]]:
    parts = urlsplit(place)
    folder = Path(unquote(parts.path))
    if parts.scheme == "mlflow-artifacts" and served is not None:
        folder = served / folder.relative_to("/")
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [(str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]
