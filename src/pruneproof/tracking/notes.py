"""The descriptions of experiment and runs, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pruneproof.tracking.tables import Row, number

COLUMNS = {
    "tokens": ("visual_tokens", 0), "FLOPs ratio": ("flops_ratio", 2),
    "clean": ("accuracy_clean", 1), "corrupted": ("accuracy_image", 1), "reworded": ("accuracy_text", 1),
    "kept": ("retention_image", 0),
    "effective, corrupted": ("effective_image", 1), "effective, reworded": ("effective_text", 1),
    "d'": ("d_prime_image", 2), "invents": ("hallucination_matched_image", 1),
}  # fmt: skip
"""Heading to (column of `reports/summary.csv`, decimals); an effective robustness is written with its interval."""
UNITS = (
    "Accuracy in percent; kept: share of the lead over chance that corruption leaves (%); effective: points of "
    "accuracy above random pruning to the same clean accuracy, plus is more robust; d' and invents, under corruption: "
    "sensitivity, and absent objects affirmed at the full model's clean recall (%)."
)
CURVES = (
    "Line charts of `accuracy/all/...` over the step are curves over severity (0 = clean), of dialogues over turns."
)
TABLE_LENGTH = 6000
"""Characters of the longest table; MLflow takes descriptions of 8,000."""


def headline_note(rows: Sequence[Row]) -> str:
    """The headline table of the whole study, and how to leave superseded runs out."""
    current = "Current parent runs: `tags.superseded_by IS NULL AND tags.level = 'method'`."
    return "\n\n".join([_table(rows), UNITS, f"{current} {CURVES}"])


def method_note(rows: Sequence[Row], params: Mapping[str, str | int | float]) -> str:
    """One method's row of the headline table, what it was run with, and where its figures are."""
    chosen = ", ".join(f"{name} {value}" for name, value in params.items())
    figures = "The figures and tables of the whole study are the artifacts of the run `report`."
    return "\n\n".join([*([_table(rows)] if rows else []), UNITS, f"Run with: {chosen}.", f"{CURVES} {figures}"])


def _table(rows: Sequence[Row]) -> str:
    lines = ["| backbone | method | " + " | ".join(COLUMNS) + " |", "|---|---|" + "---:|" * len(COLUMNS)]
    length = sum(map(len, lines))
    for index, row in enumerate(rows):
        cells = [_cell(row, name, digits) for name, digits in COLUMNS.values()]
        names = [_plain(row["backbone"]), _plain(row.get("label") or row["method"])]
        line = "| " + " | ".join([*names, *cells]) + " |"
        length += len(line)
        if length > TABLE_LENGTH:
            lines += ["", f"{len(rows) - index} more rows are in `summary.csv` of the run `report`."]
            break
        lines.append(line)
    return "\n".join(lines)


def _cell(row: Row, name: str, digits: int) -> str:
    """A value, of an effective robustness with its interval; nothing where it was not measured."""
    value, low, high = (number(row.get(f"{name}{end}")) for end in ("", "_low", "_high"))
    if value is None:
        return ""
    text = f"{value:.{digits}f}"
    if name.startswith("effective") and low is not None and high is not None:
        text += f" [{low:.{digits}f}, {high:.{digits}f}]"
    return text


def _plain(text: str) -> str:
    """Text escaped so that it does not end its table cell."""
    return text.replace("|", "\\|").replace("\n", " ")
