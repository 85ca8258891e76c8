"""`summary`: the results of the last run in one short table, and where the rest is."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from pruneproof.errors import PruneProofError
from pruneproof.folders import Folders, make_command

COLUMNS = (
    ("LM\nFLOPs\n%", "language_model_flops_ratio", "{:.0%}", ""),
    ("clean\n%", "accuracy_clean", "{:.1f}", ""),
    ("corrupted\n%", "accuracy_image", "{:.1f}", ""),
    ("reworded\n%", "accuracy_text", "{:.1f}", ""),
    ("kept\n%", "retention_image", "{:.0f}", ""),
    ("effective,\ncorrupted", "effective_image", "{:+.1f}", "[{:+.1f}, {:+.1f}]"),
    ("effective,\nreworded", "effective_text", "{:+.1f}", "[{:+.1f}, {:+.1f}]"),
    ("d'", "d_prime_image", "{:.2f}", ""),
    ("invents\n%", "hallucination_matched_image", "{:.1f}", ""),
)
"""Heading, column of summary.csv, how its value is written, how its interval is written."""
NOTES = (
    "Clean, corrupted, reworded: {score}. Kept: what corruption leaves of the lead over chance.",
    "Effective: points of {short} above random pruning to the same clean {short}; plus is more robust. None at chance.",
    "d', corrupted: how well present and absent objects are told apart.",
    "Invents, corrupted: absent objects affirmed where as many present ones are found as by the full model.",
)
"""`score` is what the study measures, `short` its name alone."""
WIDTH = 120
"""Characters of the table where the output is no terminal."""


def report(folder: Path) -> None:
    """Print the finding, one row for each backbone and method, and the places of figures, page and MLflow UI.

    Raises:
        PruneProofError: if the study has no results yet.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    reports = Folders(folder).reports
    rows = _rows(folder)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    backbones = dict.fromkeys(row["backbone"] for row in rows)
    table.add_column("method" if len(backbones) == 1 else "backbone,\nmethod", no_wrap=True)
    for heading, *_ in COLUMNS:
        table.add_column(heading, justify="right")
    for backbone in backbones:
        if len(backbones) > 1:
            table.add_section()
            table.add_row(Text(f"{backbone}:"))
        for row in (row for row in rows if row["backbone"] == backbone):
            table.add_row(Text(row.get("label") or row["method"]), *_cells(row))
    console = Console(highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    finding = reports / "finding.md"
    if finding.is_file():
        for line in finding.read_text(encoding="utf-8").strip().splitlines():
            console.print(Text(line.replace("`", ""), style="bold" if line.startswith("#") else ""))
        console.print()
    console.print(table)
    score = rows[0].get("score") or "accuracy"
    for note in NOTES:
        console.print(note.format(score=score, short=score if score == "accuracy" else "that score"))
    for what, name in (("Page", "report.html"), ("Claims", "claims.md"), ("Figures", "figures")):
        console.print(f"{what + ':':<9}{(reports / name).resolve()}", soft_wrap=True)
    console.print(f"{'Runs:':<9}{make_command('ui', folder)}")


def _rows(folder: Path) -> list[dict[str, str]]:
    path = Folders(folder).reports / "summary.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        run = make_command("repro", folder)
        raise PruneProofError(f"{path} is missing: the study has no results yet, run `{run}`") from None
    if not rows:
        raise PruneProofError(f"{path} holds no results: delete it and run `dvc repro`")
    return rows


def _cells(row: Mapping[str, str]) -> list[str]:
    """The row's values as text, a dash where nothing was measured."""
    cells = []
    for _, column, form, interval in COLUMNS:
        value = _number(row.get(column))
        low, high = _number(row.get(f"{column}_low")), _number(row.get(f"{column}_high"))
        text = "-" if value is None else form.format(value)
        if interval and value is not None and low is not None and high is not None:
            text += " " + interval.format(low, high)
        cells.append(text)
    return cells


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return None if value != value else value
