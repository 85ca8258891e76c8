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
READING = (
    "Sorted by `low/effective_robustness`: a method above zero there keeps more of its accuracy under corruption than "
    "random pruning to the same clean accuracy; one whose `high/effective_robustness` is below zero keeps less; the "
    "others cannot be told from it. Each interval stands alone: of forty methods that are no better, one is above zero "
    "by chance. `headline/effective_robustness` is that difference in points, `headline/accuracy_clean` what is left "
    "to lose, `headline/hallucination_matched` the absent objects that are affirmed under corruption at the full "
    "model's clean recall (%, lower is better), and `headline/flops_ratio` the cost over the full model's. Charts of "
    "`severity/...` have the severity as step, 0 is clean."
)
DURATION = (
    "The duration is what the method needs for all its questions alone in one process: the median latency of a picture "
    "with its questions (`data/costs/latency.csv`), for as many as were asked."
)
TABLE_LENGTH = 6000
"""Characters of the longest table; MLflow takes descriptions of 8,000."""


def headline_note(rows: Sequence[Row]) -> str:
    """The headline table of the whole study."""
    return "\n\n".join([_table(rows), UNITS])


def study_note(rows: Sequence[Row], conditions: str) -> str:
    """How to read the experiment of methods, and the headline table.

    Args:
        rows: of `reports/summary.csv`.
        conditions: name of the other experiment.
    """
    return "\n\n".join([f"{READING} Everything else is in the experiment `{conditions}`.", headline_note(rows)])


def conditions_note(study: str) -> str:
    """How to read the experiment of conditions."""
    return (
        f"Every number of the study `{study}`. A run with children is a backbone with a method: its line charts of "
        "`accuracy/all/...` over the step are curves over severity (0 = clean), of dialogues over turns. Each child is "
        "one condition: its dataset is what was shown and asked. The run `report` holds all tables, figures and the "
        "page. Valid runs: `tags.superseded_by IS NULL`."
    )


def method_note(
    rows: Sequence[Row], params: Mapping[str, str | int | float], figures: Sequence[str], conditions: str
) -> str:
    """One method's row of the headline table, what it was run with, and the first of its backbone's figures.

    Args:
        rows: its rows of `reports/summary.csv`, one or none.
        params: what it was run with.
        figures: paths of the run's artifacts; `{run_id}` in the note is to be replaced by the id of the run.
        conditions: name of the other experiment.
    """
    chosen = ", ".join(f"{name} {value}" for name, value in params.items())
    shown = [f"![{figures[0]}](get-artifact?path={figures[0]}&run_uuid={{run_id}})"] if figures else []
    more = f"Each condition is a run of the experiment `{conditions}`."
    return "\n\n".join([*([_table(rows)] if rows else []), UNITS, *shown, f"Run with: {chosen}. {DURATION} {more}"])


def whole_method_note(rows: Sequence[Row], study: str) -> str:
    """One method's row of the headline table, and where the rest is."""
    more = f"Charts of the most important numbers, and figures: the run of the same name in the experiment `{study}`."
    return "\n\n".join([*([_table(rows)] if rows else []), UNITS, f"{DURATION} {more}"])


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
