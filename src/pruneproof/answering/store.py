"""Finished cells by fingerprint: a kill loses at most those in progress, and only what was written is ever returned."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pruneproof.files import digest, sealed, unsealed, write_bytes
from pruneproof.records import ANSWERS, LOGITS, TOKENS

CELL = pa.schema(
    [
        *(ANSWERS.field(name) for name in ("text", "kept", *TOKENS)),
        *(LOGITS.field(name) for name in ("yes_logit", "no_logit")),
        pa.field("error", pa.string(), nullable=False),
    ]
)
"""The answers of one method to one batch, in the order of its images and their questions. Where a picture could not be
made, `error` says why, and there is no answer; else it is empty."""


def unanswered(count: int, error: str) -> pa.Table:
    """Rows of questions that have no answer.

    Args:
        count: number of questions.
        error: why.
    """
    empty = {pa.string(): "", pa.list_(pa.int16()): []}
    columns = [pa.array([empty.get(field.type, 0)] * count, field.type) for field in CELL]
    return pa.table(columns, schema=CELL).set_column(len(CELL) - 1, CELL.field("error"), pa.array([error] * count))


def fingerprint(base: str, content: str) -> str:
    """The key of a cell.

    Args:
        base: `Manifest.base` of the method.
        content: `Batch.content`.
    """
    return digest(base.encode(), content.encode())


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of finished cells.

    A file is a table as Parquet, sealed under its key: neither a damaged file nor one of another key is ever taken for
    the cell.
    """

    folder: Path

    def path(self, key: str) -> Path:
        """Where the cell of that fingerprint is, or will be."""
        return self.folder / key[:2] / f"{key}.cell"

    def put(self, key: str, table: pa.Table) -> None:
        """Keep a finished cell of schema `CELL`, in the place of whatever is there.

        Raises:
            OSError: if the disk is full; nothing is left half written.
        """
        stream = pa.BufferOutputStream()
        pq.write_table(table.cast(CELL), stream, compression="zstd")
        content = stream.getvalue().to_pybytes()
        path = self.path(key)
        if path.is_dir():
            shutil.rmtree(path)
        write_bytes(path, sealed(key, content))

    def get(self, key: str) -> pa.Table | None:
        """A finished cell, or None if what is there is not that cell, or nothing."""
        try:
            content = unsealed(key, self.path(key).read_bytes())
        except (FileNotFoundError, IsADirectoryError):
            return None
        if content is None:
            return None
        table = pq.read_table(pa.BufferReader(content))
        return table if table.schema.equals(CELL) else None
