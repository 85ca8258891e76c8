"""One table as text cells, whatever it is rendered to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from pruneproof.reporting.estimates import number
from pruneproof.scoring.spreadsheet import inert


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; the first column is left-aligned."""

    name: str
    """File name without its ending."""
    title: str
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    spans: tuple[tuple[str, int], ...] = field(default=())
    """A line above the header: (text, columns), over all columns; empty for none."""
    backbone: str = ""
    """Empty for a table of the whole study."""
    groups: tuple[tuple[int, str], ...] = field(default=())
    """Headings within the table: (row that it stands above, text), in order."""

    def heading(self, row: int) -> str:
        """What stands above a row; empty for nothing."""
        return dict(self.groups).get(row, "")

    @property
    def full_header(self) -> tuple[str, ...]:
        """The header with the line above it in every cell, for formats that allow only one line: `Accuracy, clean`."""
        above = [text for text, columns in self.spans for _ in range(columns)] or [""] * len(self.header)
        return tuple(f"{text}, {cell}" if text else cell for text, cell in zip(above, self.header, strict=True))


def known(rows: Sequence[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """The rows in which anything was measured."""
    return tuple(row for row in rows if any(cell != number(float("nan")) for cell in row[1:]))


def csv_text(frame: pd.DataFrame) -> str:
    """A frame as CSV, numbers to six digits; ids and answers that begin like a formula are made inert."""
    safe = frame.map(lambda value: inert(value) if isinstance(value, str) else value)
    text: str = safe.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return text
