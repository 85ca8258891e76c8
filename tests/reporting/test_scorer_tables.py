"""Tables of the benchmarks' own scorers, on a summary that holds them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pruneproof.files import write_json
from pruneproof.folders import Folders
from pruneproof.reporting.report import Report
from pruneproof.reporting.scorer_tables import consensus_table, harness_table, scorer_tables
from pruneproof.reporting.setup import _card, setup


def with_metrics(report: Report, values: dict[str, float]) -> Report:
    """The report of which `accuracy/all` of every method was scored by other rules, too."""
    rows = report.summary[report.summary["metric"] == "accuracy/all"]
    added = [rows.assign(metric=name, value=value, low=value - 1, high=value + 1) for name, value in values.items()]
    return replace(report, summary=pd.concat([report.summary, *added], ignore_index=True))


def test_one_reading_needs_no_comparison(report: Report) -> None:
    assert harness_table(report, report.backbones[0]).rows == ()
    assert all(not table.rows for table in scorer_tables(report, report.backbones[0]))


def test_harnesses_stand_side_by_side(report: Report) -> None:
    harnesses = {"pope/f1_mean": 80.0, "pope_lmms_eval/f1_mean": 79.0, "pope_vlmevalkit/f1_mean": 70.0}
    table = harness_table(with_metrics(report, harnesses), report.backbones[0])
    assert table.header == ("Method", *("authors", "lmms-eval", "VLMEvalKit") * 2)
    assert table.spans == (("", 1), ("Clean", 3), ("Corrupted", 3))
    assert [cell.split()[0] for cell in table.rows[0][2:4]] == ["79.0", "70.0"]


@pytest.mark.parametrize(("scorer", "score", "heading"), [("vqa", "accuracy", "accuracy"), ("gqa", "open", "open")])
def test_a_scorer_has_its_own_table(report: Report, scorer: str, score: str, heading: str) -> None:
    tables = scorer_tables(with_metrics(report, {f"{scorer}/{score}": 61.5}), report.backbones[0])
    (table,) = (table for table in tables if table.rows)
    assert table.name.endswith(f"_{scorer}")
    assert table.header == ("Method", heading, heading)
    assert table.rows[0][1].startswith("61.5")


def test_consensus_needs_human_rephrasings(report: Report) -> None:
    assert consensus_table(report, report.backbones[0]).rows == ()
    rows = report.summary[(report.summary["metric"] == "accuracy/all") & (report.summary["family"] == "text")]
    rows = rows.assign(perturbation="paraphrase_human", metric="robust/consensus_2", value=40.0)
    added = replace(report, summary=pd.concat([report.summary, rows], ignore_index=True))
    assert consensus_table(added, report.backbones[0]).rows[0][2].startswith("40.0")


def test_pictures_that_could_not_be_corrupted_are_told(report: Report) -> None:
    assert "Questions answered" not in setup(report)
    table = report.summary.copy()
    here = (table["method"] == report.baseline) & (table["metric"] == "accuracy/all")
    here &= (table["perturbation"] == "fog") & (table["severity"].astype(str) == "3")
    table.loc[here, "n"] = table.loc[here, "n"] - 1
    said = setup(replace(report, summary=table))["Questions answered"]
    assert said.startswith("fewer than on clean pictures under ")
    assert "(fog_3, " in said
    none = table[table["family"] != "image"]
    assert "Questions answered" not in setup(replace(report, summary=none))


def test_the_card_of_the_benchmark_is_shown(report: Report, tmp_path: Path) -> None:
    moved = replace(report, folders=Folders(tmp_path))
    write_json(moved.folders.benchmark / "manifest.json", {"card": {"licence": "MIT", "scored_by": "POPE's rule"}})
    shown = _card(moved)
    assert shown == {"Benchmark: licence": "MIT", "Benchmark: scored by": "POPE's rule"}
