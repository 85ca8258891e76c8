"""One module per figure: `frames` says what is drawn (and is written as CSV), `draw` draws exactly that.

A new figure is a new module here with ORDER, TITLE, `caption`, `frames` and `draw`; modules whose name starts with `_`
are shared parts. A frame without rows is not drawn.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Protocol, cast

import pandas as pd
from matplotlib.figure import Figure

from pruneproof import files
from pruneproof.reporting import style
from pruneproof.reporting.report import Report
from pruneproof.reporting.table import csv_text


class Drawing(Protocol):
    """What a module of this package offers."""

    ORDER: int
    """Place in the report."""
    TITLE: str

    def caption(self, report: Report) -> str:
        """One paragraph that lets the figure be read alone."""

    def frames(self, report: Report) -> dict[str, pd.DataFrame]:
        """What is drawn, by file name without its ending; one for each backbone that it can be drawn for."""

    def draw(self, frame: pd.DataFrame, report: Report) -> Figure:
        """Draw one of the frames and nothing else; `report` gives names, colours and pictures."""


def drawings() -> list[Drawing]:
    """All figures in the order of the report."""
    names = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    found = [cast(Drawing, importlib.import_module(f"{__name__}.{name}")) for name in names]
    return sorted(found, key=lambda drawing: drawing.ORDER)


def frames(drawing: Drawing, report: Report) -> dict[str, pd.DataFrame]:
    """The frames of one figure that have something to show."""
    return {name: frame for name, frame in drawing.frames(report).items() if len(frame)}


def save(drawing: Drawing, name: str, frame: pd.DataFrame, report: Report, folder: Path) -> Path:
    """Write `<name>.csv`, `.pdf` and `.png` below `folder`; returns the path of the PNG."""
    path = folder / name
    files.write_text(path.with_name(f"{path.name}.csv"), csv_text(frame))
    with style.styled():
        style.save(drawing.draw(frame, report), path)
    return path.with_name(f"{path.name}.png")
