"""Where the bytes of pictures are, and how to read one of them: all pictures of a study do not fit in memory.

Tables that hold pictures have small row groups, so that one picture is read without the others (measured on 20,000
pictures of 20 kB: 5 ms to open the table, 0.6 ms for a group).
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from pruneproof.errors import PruneProofError, failure
from pruneproof.files import replacing

ROWS_PER_GROUP = 10
"""Of a table of pictures: as many as are in memory at once, and as many as are asked about in one batch."""


_ROWS_AT_ONCE = 100


class NoPictureError(PruneProofError):
    """There is no such picture, for a reason that lies in the picture it would be made from: nothing is asked of it."""


class Stored(Protocol):
    """A picture that can be read."""

    @property
    def digest(self) -> str:
        """What its bytes are known by: two pictures of one digest have the same bytes."""
        ...

    def read(self) -> bytes:
        """Its bytes, in any format that `pictures.read_picture` reads.

        Raises:
            NoPictureError: if it cannot be made.
            PruneProofError: if it is missing, or is not what it was when it was noted.
        """
        ...

    def carried(self) -> Stored:
        """The same picture, to be read where its files are not.

        Raises:
            PruneProofError: as `read` does.
        """
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """A picture in memory."""

    content: bytes

    @property
    def digest(self) -> str:
        """SHA-256."""
        return hashlib.sha256(self.content).hexdigest()

    def read(self) -> bytes:
        """As they are."""
        return self.content

    def carried(self) -> Stored:
        """Itself."""
        return self


@dataclass(frozen=True, slots=True)
class InFile:
    """A picture that is a file."""

    path: Path
    digest: str
    """SHA-256 of the file, as `draw_scenes` noted it."""

    def read(self) -> bytes:
        """The file's content; see `Stored`."""
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise PruneProofError(f"picture {self.path} cannot be read ({failure(error)}): restore it") from error
        return _unchanged(content, self.digest, f"picture {self.path}")

    def carried(self) -> Stored:
        """Its bytes; see `Stored`."""
        return Held(self.read())


@dataclass(frozen=True, slots=True)
class InTable:
    """A picture, or a mask, in one row of a Parquet file."""

    path: Path
    row: int
    """From 0."""
    digest: str
    """SHA-256 of the bytes."""
    column: str = "png"

    def read(self) -> bytes:
        """The bytes in that row; see `Stored`."""
        try:
            stat = self.path.stat()
            stamp = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            ends = _groups(self.path, stamp)[1]
            group = bisect_right(ends, self.row)
            start = ends[group - 1] if group else 0
            content: bytes = _column(self.path, stamp, group, self.column)[self.row - start].as_py()
        except FileNotFoundError:
            raise PruneProofError(f"{self.path} is missing: run the stage that writes it (`dvc repro`)") from None
        except (pa.ArrowException, OSError, IndexError) as error:
            raise _damaged(self.path, error) from None
        return _unchanged(content, self.digest, f"row {self.row} of {self.path}")

    def carried(self) -> Stored:
        """Its bytes; see `Stored`."""
        return Held(self.read())


def columns(png: bytes) -> dict[str, Any]:
    """The columns that hold a picture in a row of `records.IMAGES`."""
    return {"png": png, "file": "", "sha256": Held(png).digest}


def write_pictures(
    path: Path, rows: Iterable[Mapping[str, Any]], schema: pa.Schema, group: int = ROWS_PER_GROUP
) -> None:
    """Write rows as a Parquet file in groups, as they come; the same rows give the same bytes.

    Args:
        path: of the file.
        rows: of `schema`.
        schema: of the table.
        group: rows that are in memory, and read, together.
    """
    coming = iter(rows)
    with replacing(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        while some := list(islice(coming, group)):
            writer.write_table(pa.Table.from_pylist([dict(row) for row in some], schema=schema))


def each_row(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file, a few in memory at a time.

    Raises:
        PruneProofError: if the file is missing, truncated or lacks a column.
    """
    try:
        with pq.ParquetFile(path) as file:
            lacking = sorted(set(columns) - set(file.schema_arrow.names))
            if lacking:
                raise pa.ArrowException(f"no column {lacking[0]}")
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=list(columns)):
                yield from batch.to_pylist()
    except FileNotFoundError:
        raise PruneProofError(f"{path} is missing: run the stage that writes it (`dvc repro`)") from None
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> PruneProofError:
    first = next(iter(str(error).splitlines()), type(error).__name__)
    return PruneProofError(f"{path} cannot be read ({first}): delete it and run `dvc repro`")


def _unchanged(content: bytes, digest: str, what: str) -> bytes:
    if hashlib.sha256(content).hexdigest() != digest:
        raise PruneProofError(
            f"{what} is no longer what it was when the benchmark was read: restore it, or run `dvc repro` to ask again"
        )
    return content


@lru_cache(maxsize=8)
def _groups(path: Path, stamp: tuple[int, ...]) -> tuple[pq.FileMetaData, tuple[int, ...]]:
    """What the file says of itself, and where each row group ends. `stamp` tells it from one that takes its place."""
    metadata = pq.read_metadata(path)
    return metadata, tuple(accumulate(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)))


@lru_cache(maxsize=3)
def _column(path: Path, stamp: tuple[int, ...], group: int, column: str) -> pa.ChunkedArray:
    """One column of a group; the last few are kept, because neighbours are read one after the other.

    The file is opened each time: an open one would be shared with forked processes.
    """
    with pq.ParquetFile(path, metadata=_groups(path, stamp)[0]) as file:
        return file.read_row_group(group, columns=[column])[column]
