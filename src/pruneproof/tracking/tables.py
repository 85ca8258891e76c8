"""Reading the tables that runs are made of."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from pruneproof import files
from pruneproof.errors import PruneProofError

Row = Mapping[str, str]


def read(path: Path, columns: Sequence[str], *, empty: bool = False) -> list[Row]:
    """The rows of a CSV file.

    Args:
        path: of the file.
        columns: that it must have.
        empty: whether it may have no rows.

    Raises:
        PruneProofError: if it is missing, empty, no table, or lacks one of `columns`.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows: list[Row] = list(reader)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
    except FileNotFoundError:
        raise PruneProofError(f"{path} is missing: run the stage that writes it (`dvc repro`)") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PruneProofError(f"{path} cannot be read ({error}): delete it and run `dvc repro`") from None
    if not rows and not empty:
        raise PruneProofError(f"{path} holds no rows: delete it and run `dvc repro`")
    if missing:
        raise PruneProofError(f"{path} has no column {', '.join(missing)}: delete it and run `dvc repro`")
    for line, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise PruneProofError(f"{path}, row {line}: not as many values as columns: delete it and run `dvc repro`")
    return rows


def number(text: str | None) -> float | None:
    """A finite number; None for a blank, a word, NaN and infinity, which MLflow would store as 1.8e308."""
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def as_csv(rows: Sequence[Row]) -> str:
    """At least one row as CSV with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def plain(value: object) -> str | int | float:
    """A value that MLflow can show: what is neither text nor number is JSON, and so is a truth value."""
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else json.dumps(value)


def combined(*parts: str) -> str:
    """One digest of several and of names, short enough for MLflow's column of datasets."""
    return files.digest(*(part.encode() for part in parts))[:32]
