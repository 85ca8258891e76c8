"""`summary`: the results of the last run in one short table, and where the rest is."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from pruneproof.errors import PruneProofError
from pruneproof.folders import Folders, make_command

COLUMNS = {
    "tokens": ("visual_tokens", "{:.0f}", ""),
    "LM FLOPs %": ("language_model_flops_ratio", "{:.0%}", ""),
    "clean %": ("accuracy_clean", "{:.1f}", ""),
    "corrupted %": ("accuracy_image", "{:.1f}", ""),
    "reworded %": ("accuracy_text", "{:.1f}", ""),
    "hallucinates %": ("hallucination_image", "{:.1f}", ""),
    "extra drop, corrupted": ("extra_drop_image", "{:+.1f}", "[{:+.1f}, {:+.1f}]"),
    "extra drop, reworded": ("extra_drop_text", "{:+.1f}", "[{:+.1f}, {:+.1f}]"),
}
"""Heading to (column of summary.csv, how its value is written, how its interval is written)."""


def report(folder: Path) -> None:
    """Print one row for each backbone and method, and the places of figures, page and MLflow UI.

    Raises:
        PruneProofError: if the study has no results yet.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    reports = Folders(folder).reports
    rows = _rows(folder)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    backbones = {row["backbone"] for row in rows}
    table.add_column("method" if len(backbones) == 1 else "backbone, method")
    for heading in COLUMNS:
        table.add_column(heading, justify="right")
    for row in rows:
        label = row.get("label") or row["method"]
        table.add_row(label if len(backbones) == 1 else f"{row['backbone']}, {label}", *map(str, _cells(row)))
    console = Console(highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=160)
    console.print(table)
    console.print(
        "Extra drop: points of accuracy that the method loses more than the full model does; plus is worse for it."
    )
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
    for column, form, interval in COLUMNS.values():
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
