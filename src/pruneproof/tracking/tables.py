"""Reading the tables that runs are made of."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from pruneproof.errors import PruneProofError

Row = Mapping[str, str]


def read(path: Path, columns: Sequence[str]) -> list[Row]:
    """The rows of a CSV file.

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
    if not rows:
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
