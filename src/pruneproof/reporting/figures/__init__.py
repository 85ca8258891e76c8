"""One module per figure: `frames` says what is drawn (and is written as CSV), `draw` draws exactly that.

A new figure is a new module here with ORDER, TITLE, PICTURES, `caption`, `frames` and `draw`; modules whose name
starts with `_` are shared parts. A frame without rows is not drawn.
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
from pruneproof.reporting.latex import latex_figure
from pruneproof.reporting.report import Report
from pruneproof.reporting.style import COLUMN, PAGE, Sheet
from pruneproof.reporting.table import csv_text


class Drawing(Protocol):
    """What a module of this package offers."""

    ORDER: int
    """Place in the report."""
    TITLE: str
    PICTURES: bool
    """Whether it shows photographs or scenes, which the page holds as WebP; anything else is SVG."""

    def caption(self, report: Report) -> str:
        """One paragraph that lets the figure be read alone."""

    def frames(self, report: Report) -> dict[str, pd.DataFrame]:
        """What is drawn, by file name without its ending; one for each backbone that it can be drawn for."""

    def draw(self, frame: pd.DataFrame, report: Report, sheet: Sheet = PAGE) -> Figure:
        """Draw one of the frames and nothing else; `report` gives names, colours and pictures.

        Text has at least 7 points on every sheet.
        """


def drawings() -> list[Drawing]:
    """All figures in the order of the report."""
    names = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    found = [cast(Drawing, importlib.import_module(f"{__name__}.{name}")) for name in names]
    return sorted(found, key=lambda drawing: drawing.ORDER)


def frames(drawing: Drawing, report: Report) -> dict[str, pd.DataFrame]:
    """The frames of one figure that have something to show."""
    return {name: frame for name, frame in drawing.frames(report).items() if len(frame)}


def caption(drawing: Drawing, report: Report) -> str:
    """The figure's caption, with what every one of them must say: how many pictures and questions."""
    return f"{drawing.caption(report)} {report.sizes}"


def save(drawing: Drawing, name: str, frame: pd.DataFrame, report: Report, folder: Path) -> Path:
    """Write a figure, under `style.styled`, below `folder` in all its forms; returns the path that the page shows.

    `<name>.csv` holds what is drawn, `.pdf`, `.png` and `.svg` (`.webp` where it shows pictures) are as wide as a page,
    `<name>_column.pdf` as a column of a paper, and `.tex` puts that one into a paper with its caption.
    """
    path = folder / name
    shown = "webp" if drawing.PICTURES else "svg"
    files.write_text(path.with_name(f"{path.name}.csv"), csv_text(frame))
    files.write_text(path.with_name(f"{path.name}.tex"), latex_figure(name, drawing.TITLE, caption(drawing, report)))
    style.save(drawing.draw(frame, report, PAGE), path, ("pdf", "png", shown))
    style.save(drawing.draw(frame, report, COLUMN), path.with_name(path.name + COLUMN.ending), ("pdf",))
    return path.with_name(f"{path.name}.{shown}")
