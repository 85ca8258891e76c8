"""One table as text cells, whatever it is rendered to."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; the first `labels` columns are left-aligned."""

    name: str
    """File name without its ending."""
    title: str
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    spans: tuple[tuple[str, int], ...] = field(default=())
    """A line above the header: (text, columns), over all columns; empty for none."""
