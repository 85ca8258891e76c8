"""The stage `write_report`: everything in `reports/` but the receipt of tracking."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pandas as pd

from pruneproof import files
from pruneproof.folders import Folders
from pruneproof.reporting import documents, figures, headline, style
from pruneproof.reporting.latex import latex_table
from pruneproof.reporting.report import Report, load
from pruneproof.reporting.shown import Shown
from pruneproof.reporting.table import Table, csv_text
from pruneproof.reporting.tables import tables
from pruneproof.settings import Study

LOGGER = logging.getLogger(__name__)
PLOTTED = ("accuracy_severity", "hallucination_severity")
"""Figures that `plots` of dvc.yaml names: curves over severity, which share a template."""

FIRST = 1
"""`ORDER` of the figure that the page opens with."""


def run(study: Study, folders: Folders) -> None:
    """Write `metrics/`, `summary.csv`, `figures/`, `plots/`, `tables/`, `finding.md`, `claims.md` and
    `report.html`.

    The same tables give the same bytes: no date, path or program version is written. Only the page says which commit
    it was made at, and when the scores were.

    Raises:
        PruneProofError: if a table of an earlier stage is missing, truncated or empty.
    """
    report = load(study, folders)
    for name in ("figures", "metrics", "plots", "tables"):
        shutil.rmtree(folders.reports / name, ignore_errors=True)
    _write_numbers(report)
    set_tables = tables(report)
    _write_tables(report, set_tables)
    judged = documents.judgements(report)
    files.write_text(folders.reports / "claims.md", documents.claims_page(report, judged, set_tables))
    files.write_text(folders.reports / "finding.md", documents.finding_page(report))
    with style.styled():
        shown = _write_figures(report)
    page = documents.html_page(report, judged, set_tables, shown)
    files.write_text(folders.reports / "report.html", page)


def _write_numbers(report: Report) -> None:
    table = headline.headline(report)
    text = csv_text(table)
    files.write_text(report.folders.reports / "summary.csv", text)
    for (backbone, method), values in headline.metrics(table).items():
        files.write_json(report.folders.reports / "metrics" / backbone / f"{method}.json", values)


def _write_tables(report: Report, set_tables: list[Table]) -> None:
    for table in set_tables:
        files.write_text(report.folders.reports / "tables" / f"{table.name}.tex", latex_table(table))


def _write_figures(report: Report) -> dict[str, list[Shown]]:
    """Draw all figures; returns those of each backbone, and under the empty name those of the whole study."""
    shown: dict[str, list[Shown]] = {}
    for drawing in figures.drawings():
        found = figures.frames(drawing, report)
        _write_plots(found, report.folders.reports)
        for name, frame in found.items():
            path = figures.save(drawing, name, frame, report, report.folders.reports / "figures")
            LOGGER.info("drawn: %s", path.name)
            backbone, _, _ = name.rpartition("/")
            where = path.relative_to(report.folders.reports).with_suffix("").as_posix()
            text = figures.caption(drawing, report)
            first = drawing.ORDER == FIRST
            shown.setdefault(backbone, []).append(Shown(where, drawing.TITLE, text, path.read_bytes(), first))
    return shown


def _write_plots(frames: dict[str, pd.DataFrame], reports: Path) -> None:
    """Write the numbers of a figure that `dvc plots` draws, all backbones in one table: DVC wants each file named, and
    not every study has the same backbones."""
    figure = next(iter(frames), "").rpartition("/")[2]
    if figure in PLOTTED:
        parts = [frame.assign(backbone=name.rpartition("/")[0]) for name, frame in frames.items()]
        text = csv_text(pd.concat(parts))
        files.write_text(reports / "plots" / f"{figure}.csv", text)
