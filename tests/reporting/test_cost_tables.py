from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pruneproof.errors import PruneProofError
from pruneproof.reporting.cost_tables import component_table, family_table, published_table
from pruneproof.reporting.documents import claims_page, judgements
from pruneproof.reporting.report import Report, load
from pruneproof.reporting.tables import tables

RESULT: dict[str, Any] = {
    "scale": "published", "device": "a GPU", "dtype": "bfloat16", "keep": 0.6,
    "families": {
        "llava-1.5-7b": {
            "title": "LLaVA-1.5-7B", "language_layers": 16, "published_language_layers": 32,
            "flops_atp_over_full": {"1": 0.64, "64": 0.67},
            "ratios": [
                {"batch": 1, "answer_length": 1, "full_over_atp": 1.56, "low": 1.49, "high": 1.69},
                {"batch": 1, "answer_length": 64, "full_over_atp": 1.2, "low": 1.1, "high": 1.3},
            ],
        }
    },
}  # fmt: skip


def test_components_add_up(report: Report) -> None:
    table = component_table(report, "builtin_llava")
    full, atp = (next(row for row in table.rows if row[0] == label) for label in ("Full", "ATP 60%"))
    assert table.header[1:7] == ("vision tower", "text tower", "scoring", "connector", "prefill", "decode")
    assert full[1:] == ("1600.0", "0.0", "0.0", "100.0", "2600.0", "30.0", "4330.0", "1.00")
    assert atp[1:] == ("1600.0", "40.0", "1.0", "60.0", "1640.0", "30.0", "3371.0", "0.78")


def test_families_stand_side_by_side(synthetic: Any, tmp_path: Path) -> None:
    methods = {name: synthetic.METHODS[name] for name in ("full", "random_60", "atp_60", "atp_25")}
    names = ("builtin_llava", "builtin_blip2")
    grid = synthetic.Grid(corruptions=("fog",), rewordings=(), methods=methods, backbones=names, images=2)
    both = load(*synthetic.write(tmp_path, grid))
    table = family_table(both)
    shown = ("Full", "ATP 60%", "Random 60%")
    assert [row[0] for row in table.rows] == [f"{name}, {label}" for name in names for label in shown]
    assert {row[-1] for row in table.rows} == {"12.5"}
    assert [row[5:8] for row in table.rows[:2]] == [("1.00", "1.00", "1.00"), ("0.78", "0.60", "0.63")]


def test_one_family_has_nothing_beside_it(report: Report) -> None:
    assert family_table(report).rows == ()


def with_results(report: Report, folder: Path, **changes: Any) -> Report:
    """A report whose project holds a measurement."""
    results = folder / "performance/results"
    results.mkdir(parents=True)
    (results / "true_shapes_cuda.json").write_text(json.dumps(RESULT | changes))
    (results / "profile.json").write_text("{}")
    return dataclasses.replace(report, folders=dataclasses.replace(report.folders, study=folder))


def test_published_shapes_are_judged_by_the_claims_rules(report: Report, tmp_path: Path) -> None:
    table = published_table(with_results(report, tmp_path))
    title = "LLaVA-1.5-7B (a GPU, bfloat16, 60% kept, time with 16 of 32 layers)"
    assert table.rows == (
        (title, "1", "1", "0.64", "supported", "1.56 [1.49, 1.69]", "supported"),
        (title, "1", "64", "0.67", "not supported", "1.20 [1.10, 1.30]", "not supported"),
    )


def test_smoke_runs_and_missing_measurements_are_left_out(report: Report, tmp_path: Path) -> None:
    assert published_table(with_results(report, tmp_path, scale="tiny")).rows == ()
    shutil.rmtree(tmp_path / "performance")
    assert published_table(dataclasses.replace(report, folders=type(report.folders)(tmp_path))).rows == ()


@pytest.mark.parametrize("changes", [{"families": {"x": {}}}, {"families": []}])
def test_a_file_that_is_no_result_is_named(report: Report, tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(PruneProofError, match=r"true_shapes_cuda.json is not a result of performance/true_shapes.py"):
        published_table(with_results(report, tmp_path, **changes))


def test_the_claims_page_shows_them(report: Report, tmp_path: Path) -> None:
    measured = with_results(report, tmp_path)
    shutil.copytree(report.folders.benchmark, measured.folders.benchmark)
    page = claims_page(measured, judgements(measured), tables(measured))
    assert "## Costs at the published shapes" in page
    assert "| 1 | 64 | 0.67 | not supported | 1.20 [1.10, 1.30] | not supported |" in page
