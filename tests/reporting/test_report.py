from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from pruneproof.errors import PruneProofError
from pruneproof.reporting.figures import dialogue_turns, kept_patches
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


@pytest.mark.parametrize(
    ("primary", "keep"), [(("atp_60", "atp_25"), 0.25), (("atp_60",), 0.6), (("atp_25",), 0.25), ((), 0.25)]
)
def test_figures_of_one_budget_show_one_at_which_a_primary_method_stands(
    report: Report, primary: tuple[str, ...], keep: float
) -> None:
    """Of 60% and 25% the middle one is 25%, where the primary method may have no entry."""
    scoring = report.study.scoring.model_copy(update={"primary": primary})
    chosen = dataclasses.replace(report, study=report.study.model_copy(update={"scoring": scoring}))
    assert chosen.shown_keep() == keep
    told = kept_patches.caption(chosen)
    assert told.endswith(f"{100 * keep:g}% of the visual tokens kept.")
    assert ("primary method" in told) is bool(primary)


def test_captions_promise_no_method_that_is_not_shown(report: Report) -> None:
    own = report.summary[report.summary["method"].isin(["full", "random_60", "random_25"])]
    bare = dataclasses.replace(report, summary=own)
    assert kept_patches.caption(bare).endswith(
        "Shown, at most 6: the full model, a random choice; 25% of the visual tokens kept."
    )
    assert "None of the methods shown looks at the question" in dialogue_turns.caption(bare)
    assert "One panel for each method that looks at the question" in dialogue_turns.caption(report)


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
