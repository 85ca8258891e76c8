from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from pruneproof.errors import PruneProofError
from pruneproof.reporting.report import Report, load


def test_lookups_read_the_row_that_is_named(report: Report) -> None:
    table = report.summary
    row = table[
        (table["method"] == "atp_25") & (table["perturbation"] == "fog") & (table["severity"] == "3")
        & (table["metric"] == "accuracy/all")
    ].iloc[0]  # fmt: skip
    found = report.estimate("builtin_llava", "atp_25", "accuracy/all", "image", "fog", 3)
    assert (found.value, found.low, found.high) == (row["value"], row["low"], row["high"])


def test_what_was_not_measured_is_nan(report: Report) -> None:
    assert not report.estimate("builtin_llava", "full", "accuracy/none").known
    assert not report.contrast("builtin_llava", "full", "accuracy/all", "image").known
    assert not report.speedup("other", "full").known
    assert math.isnan(report.total_flops("other", "full"))


def test_a_family_mean_that_is_not_in_the_summary_is_the_plain_mean(report: Report) -> None:
    table = report.summary
    without = dataclasses.replace(
        report, summary=table[~((table["perturbation"] == "mean") & (table["severity"] == "5"))]
    )
    names = without.perturbations("image")
    cells = [without.estimate("builtin_llava", "full", "accuracy/all", "image", name, 5).value for name in names]
    found = without.estimate("builtin_llava", "full", "accuracy/all", "image", "mean", 5)
    assert found.value == pytest.approx(sum(cells) / 3)
    assert not found.bounded
    assert report.estimate("builtin_llava", "full", "accuracy/all", "image", "mean", 5).bounded


def test_keeps_need_a_random_control(report: Report) -> None:
    assert report.keeps() == [0.6, 0.25]
    assert [method.id for method in report.at_keep(0.25, "builtin_llava")] == ["full", "random_25", "atp_25"]


@pytest.mark.parametrize("name", ["summary.csv", "contrasts.csv"])
def test_a_missing_or_broken_table_is_named(synthetic: Any, grid: Any, tmp_path: Path, name: str) -> None:
    study, folders = synthetic.write(tmp_path, grid)
    path = folders.scores / name
    for content, message in ((None, "is missing"), ("", "cannot be read"), ("backbone,method\n", "lacks the column")):
        path.unlink() if content is None else path.write_text(content)
        with pytest.raises(PruneProofError, match=message) as error:
            load(study, folders)
        assert name in str(error.value)


def test_a_table_of_another_study_is_refused(synthetic: Any, grid: Any, tmp_path: Path) -> None:
    study, folders = synthetic.write(tmp_path, grid)
    path = folders.scores / "summary.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(PruneProofError, match="no row of this study"):
        load(study, folders)
