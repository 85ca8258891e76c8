"""Where methods leave how many tokens, and which ones are compared with each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pruneproof.reporting.budgets import token_cell, token_columns, token_note
from pruneproof.reporting.report import Report
from pruneproof.reporting.tables import main_table, overview_table

BACKBONE = "builtin_llava"


def with_tokens(report: Report, method: str, **values: float) -> Report:
    """The study with other numbers of tokens for one method."""
    summary = report.summary.copy()
    for name, value in values.items():
        summary.loc[(summary["method"] == method) & (summary["metric"] == f"tokens/{name}"), "value"] = value
    return replace(report, summary=summary)


def columns(report: Report) -> list[str]:
    return list(token_columns(report, ((BACKBONE, method) for method in report.methods_of(BACKBONE))))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, ["Tokens"]),
        # In the language model, two of four layers: all 256, then 64.
        ({"visual": 256, "input": 256, "layer_mean": 160}, ["Input", "Mean"]),
        # Before a Q-Former that always passes on 32.
        ({"input": 32, "layer_mean": 32}, ["Kept", "Input"]),
        ({"visual": 100, "input": 32, "layer_mean": 20}, ["Kept", "Input", "Mean"]),
    ],
)
def test_columns_are_those_that_differ(report: Report, values: dict[str, float], expected: list[str]) -> None:
    assert columns(with_tokens(report, "atp_25", **values)) == expected


def test_the_main_table_shows_input_and_mean_side_by_side(report: Report) -> None:
    inside = with_tokens(report, "atp_25", visual=256, input=256, layer_mean=160, sequence=265)
    table = main_table(inside, BACKBONE)
    assert table.full_header[:6] == (
        "Method",
        "Cost, Input",
        "Cost, Mean",
        "Cost, Prompt",
        "Cost, FLOPs",
        "Cost, Speed-up",
    )
    rows = {row[0]: row[1:4] for row in table.rows}
    assert rows["ATP 25%"] == ("256", "160", "265")
    assert rows["ATP 60%"] == ("154", "154", "163")
    assert "mean: over its layers" in table.caption
    beside = overview_table(inside)
    assert beside.header[:5] == ("Method", "Kind", "Input", "Mean", "FLOPs")
    assert {len(row) for row in (*table.rows, *beside.rows)} == {len(table.header), len(beside.header)}


def test_one_number_is_enough_where_all_are_the_same(report: Report) -> None:
    assert main_table(report, BACKBONE).header[:3] == ("Method", "Tokens", "Prompt")
    assert token_note(["Tokens"]) == "Visual tokens at the language model's input"


def test_a_budget_that_depends_on_the_picture_has_its_spread(report: Report) -> None:
    found = with_tokens(report, "atp_25", input=61.4, deviation=12.2)
    method = next(method for method in found.methods if method.id == "atp_25")
    assert token_cell(found, BACKBONE, method, "tokens/input") == "61 \N{PLUS-MINUS SIGN} 12"
    assert token_cell(report, BACKBONE, method, "tokens/input") == "64"


@pytest.mark.parametrize(
    ("values", "share"),
    [
        ({}, 0.25),
        ({"visual": 256, "input": 256, "layer_mean": 160}, 0.625),
        ({"visual": 64, "input": 32, "layer_mean": 32}, 0.25),
    ],
)
def test_methods_are_compared_at_what_they_leave_and_not_at_what_their_options_say(
    report: Report, values: dict[str, float], share: float
) -> None:
    found = with_tokens(report, "atp_25", **values)
    assert found.share(BACKBONE, "atp_25") == pytest.approx(share)
    beside: dict[float, Any] = {keep: {method.id for method in found.at_keep(keep, BACKBONE)} for keep in (0.6, 0.25)}
    assert ("atp_25" in beside[0.25]) == (share == 0.25)
    assert "atp_25" not in beside[0.6]
