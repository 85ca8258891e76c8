"""Files that are either whole or absent: everything is written to a temporary name and renamed."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from pruneproof.errors import PruneProofError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes the place of `path`, on any failure it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{_machine()}-{os.getpid()}-{uuid4().hex[:8]}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


_PART = re.compile(r"\.([0-9a-f]{8})-([0-9]+)-[0-9a-f]{8}\.part")


@cache
def _machine() -> str:
    """What tells processes with the same number on other machines, or in other containers, from those here."""
    numbers = Path("/proc/self/ns/pid")
    where = f"{platform.node()} {numbers.stat().st_ino if numbers.exists() else ''}"
    return hashlib.sha256(where.encode()).hexdigest()[:8]


def abandoned(name: str) -> bool:
    """Whether a file of that name is one that a process of this machine was writing, and the process is gone."""
    found = _PART.search(name)
    if found is None or found[1] != _machine():
        return False
    try:
        os.kill(int(found[2]), 0)
    except ProcessLookupError:
        return True
    except OSError:  # another user's
        return False
    return False


def sweep(folder: Path) -> None:
    """Remove what killed processes left half written in a folder and in those inside it, but for hidden ones."""
    for place, inside, names in os.walk(folder):
        inside[:] = [name for name in inside if not name.startswith(".")]
        for name in filter(abandoned, names):
            (Path(place) / name).unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes to `path` in one step."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write text to `path` as UTF-8 in one step."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, so that equal values give equal bytes."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object, as all files of this project that are JSON hold one.

    Raises:
        PruneProofError: if the file is missing, empty, not JSON, or JSON of another kind.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PruneProofError(f"{path} is missing: run the stage that writes it (`dvc repro`)") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PruneProofError(f"{path} is not valid JSON ({error}): delete it and run `dvc repro`") from None
    if not isinstance(content, dict):
        raise PruneProofError(f"{path} holds no JSON object: delete it and run `dvc repro`")
    return content


def write_rows(path: Path, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> None:
    """Write rows as one Parquet file; the same rows give the same bytes."""
    write_table(path, pa.Table.from_pylist(list(rows), schema=schema))


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table as one Parquet file; the same table gives the same bytes."""
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a Parquet file.

    Raises:
        PruneProofError: if the file is missing, truncated or lacks a column.
    """
    try:
        return pq.read_table(path, columns=list(columns) if columns else None)
    except FileNotFoundError:
        raise PruneProofError(f"{path} is missing: run the stage that writes it (`dvc repro`)") from None
    except (pa.ArrowException, OSError) as error:
        first = str(error).splitlines()[0]
        raise PruneProofError(f"{path} cannot be read ({first}): delete it and run `dvc repro`") from None


def read_rows(path: Path, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Read a Parquet file as a list of dictionaries; raises as `read_table` does."""
    rows: list[dict[str, Any]] = read_table(path, columns).to_pylist()
    return rows


def digest(*contents: bytes) -> str:
    """SHA-256 over length-prefixed contents, as 64 hexadecimal characters."""
    hasher = hashlib.sha256()
    for content in contents:
        hasher.update(len(content).to_bytes(8, "big"))
        hasher.update(content)
    return hasher.hexdigest()


def sealed(key: str, content: bytes) -> bytes:
    """Content preceded by a SHA-256 over a key and the content, which `unsealed` checks."""
    return hashlib.sha256(key.encode() + content).digest() + content


def unsealed(key: str, stored: bytes) -> bytes | None:
    """The content sealed under a key; None if the key is another one, or a single byte has changed."""
    check, content = stored[:32], stored[32:]
    return content if check == hashlib.sha256(key.encode() + content).digest() else None


def sha256(path: Path) -> str:
    """SHA-256 of one file, as 64 hexadecimal characters; read piece by piece, whatever its size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_file(path: Path) -> str:
    """`digest` of one file's content; read piece by piece, whatever its size."""
    hasher = hashlib.sha256(path.stat().st_size.to_bytes(8, "big"))
    with path.open("rb") as file:
        while piece := file.read(2**20):
            hasher.update(piece)
    return hasher.hexdigest()


def digest_files(paths: Sequence[Path]) -> str:
    """Digest of several files' names and contents, in the order given."""
    return digest(*(part for path in paths for part in (path.name.encode(), path.read_bytes())))
