"""The stage `write_report`: everything in `reports/` but the receipt of tracking."""

from __future__ import annotations

import logging
import shutil

from pruneproof import files
from pruneproof.folders import Folders
from pruneproof.reporting import documents, figures, headline, paper_claims
from pruneproof.reporting.documents import Shown
from pruneproof.reporting.latex import latex_table
from pruneproof.reporting.report import Report, load
from pruneproof.reporting.table import Table
from pruneproof.reporting.tables import tables
from pruneproof.settings import Study

LOGGER = logging.getLogger(__name__)


def run(study: Study, folders: Folders) -> None:
    """Write `metrics.json`, `summary.csv`, `figures/`, `tables/`, `claims.md` and `report.html`.

    The same tables give the same bytes: no date, path or program version is written.

    Raises:
        PruneProofError: if a table of an earlier stage is missing, truncated or empty.
    """
    report = load(study, folders)
    for name in ("figures", "tables"):
        shutil.rmtree(folders.reports / name, ignore_errors=True)
    _write_numbers(report)
    set_tables = tables(report)
    _write_tables(report, set_tables)
    judged = documents.judgements(report)
    files.write_text(folders.reports / "claims.md", documents.claims_page(report, judged, set_tables))
    page = documents.html_page(report, judged, set_tables, _write_figures(report))
    files.write_text(folders.reports / "report.html", page)


def _write_numbers(report: Report) -> None:
    table = headline.headline(report)
    text = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    files.write_text(report.folders.reports / "summary.csv", text)
    method = paper_claims.paper_method(report)
    control = report.control(method) if method else None
    shown = [chosen for chosen in (method, control) if chosen is not None]
    files.write_json(report.folders.reports / "metrics.json", headline.metrics(report, table, shown))


def _write_tables(report: Report, set_tables: list[Table]) -> None:
    for table in set_tables:
        files.write_text(report.folders.reports / "tables" / f"{table.name}.tex", latex_table(table))


def _write_figures(report: Report) -> dict[str, list[Shown]]:
    """Draw all figures; returns those of each backbone, and under the empty name those of the whole study."""
    shown: dict[str, list[Shown]] = {}
    for drawing in figures.drawings():
        for name, frame in figures.frames(drawing, report).items():
            path = figures.save(drawing, name, frame, report, report.folders.reports / "figures")
            LOGGER.info("drawn: %s", path.name)
            backbone, _, _ = name.rpartition("/")
            where = path.relative_to(report.folders.reports).as_posix()
            shown.setdefault(backbone, []).append(
                Shown(drawing.TITLE, drawing.caption(report), where, path.read_bytes())
            )
    return shown
