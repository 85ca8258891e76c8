"""What corruption takes from a method, in two parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pruneproof.reporting import figures, style
from pruneproof.reporting.diagnosis import Parts, diagnosis_table, parts, sentence
from pruneproof.reporting.estimates import Contrast, Estimate
from pruneproof.reporting.figures import accuracy_flops, ranking_parts
from pruneproof.reporting.finding import judged_methods
from pruneproof.reporting.methods import Method
from pruneproof.reporting.report import Report


def part(report: Report, name: str, value: float, low: float, high: float) -> Parts:
    method: Method = next(method for method in report.methods if method.id == name)
    return Parts(method, Estimate(9.0), Estimate(9.0 - value), Contrast(value, low, high))


def test_parts_are_those_of_the_method_and_its_twin(swept: Report) -> None:
    found = parts(swept, "builtin_llava")
    assert [one.method.id for one in found] == ["atp_60", "atp_25"]
    where = ("image", "live")
    for one in found:
        twin = f"{one.method.id}_clean"
        assert one.total == swept.estimate("builtin_llava", one.method.id, "robust/drop_all", *where)
        assert one.features == swept.estimate("builtin_llava", twin, "robust/drop_all", *where)
        assert one.ranking == swept.contrast("builtin_llava", one.method.id, "accuracy/all", *where, baseline=twin)
        # The made-up twin loses three fifths of what its method loses.
        assert one.features.value == pytest.approx(0.6 * one.total.value, abs=0.5)
        assert one.ranking.value == pytest.approx(0.4 * one.total.value, abs=1.0)


def test_a_study_without_twins_shows_nothing(report: Report) -> None:
    assert parts(report, "builtin_llava") == []
    assert diagnosis_table(report, "builtin_llava").rows == ()
    assert figures.frames(ranking_parts, report) == {}


def test_a_twin_that_sees_the_clean_picture_is_no_rival(swept: Report) -> None:
    frame = figures.frames(accuracy_flops, swept)["builtin_llava/accuracy_flops"]
    assert "atp_60" in set(frame["method"])
    assert not set(frame["method"]) & {"atp_60_clean", "atp_25_clean"}
    without = swept.study.scoring.model_copy(update={"primary": ()})
    study = swept.study.model_copy(update={"scoring": without})
    assert not any(method.diagnosis for method in judged_methods(replace(swept, study=study), "builtin_llava"))


@pytest.mark.parametrize(
    ("low", "high", "reading"),
    [
        (0.1, 2.0, "ranking costs"), (-2.0, -0.1, "ranking helps"), (0.0, 1.0, "cannot be told"),
        (np.nan, np.nan, "cannot be told"),
    ],
)  # fmt: skip
def test_an_interval_that_touches_zero_tells_nothing(swept: Report, low: float, high: float, reading: str) -> None:
    assert part(swept, "atp_60", (low + high) / 2, low, high).reading == reading


def test_the_sentence_counts_and_names_the_largest(swept: Report) -> None:
    found = [
        part(swept, "atp_60", 1.0, 0.5, 1.5), part(swept, "atp_25", 3.0, 1.0, 5.0),
        part(swept, "atp_60_attention", 0.5, -1.0, 2.0),
    ]  # fmt: skip
    assert sentence(found) == (
        "A ranking broken by corruption costs accuracy for 2 of 3 methods (most: ATP 25%, +3.0 points [+1.0, +5.0]), "
        "helps for 0, and makes no difference that could be told for 1."
    )
    assert sentence(found[2:]).startswith("A ranking broken by corruption costs accuracy for 0 of 1 method, helps")


def test_table_and_figure_show_the_same(swept: Report) -> None:
    table = diagnosis_table(swept, "builtin_llava")
    frame = figures.frames(ranking_parts, swept)["builtin_llava/ranking_parts"]
    (ranking,) = frame[(frame["method"] == "atp_25") & (frame["part"] == "ranking")]["value"]
    assert table.rows[1][0] == "ATP 25%"
    assert table.rows[1][3].startswith(f"+{ranking:.1f} [")
    assert sentence(parts(swept, "builtin_llava")) in table.caption
    with style.styled():
        figure = ranking_parts.draw(frame, swept)
    total, features, ranked = (
        [line.get_xdata()[0] for line in axes.get_lines() if line.get_marker() not in ("None", "|")]
        for axes in figure.axes
    )
    drawn = frame.pivot_table(index="method", columns="part", values="value", sort=False)
    for shown, name in ((total, "total"), (features, "features"), (ranked, "ranking")):
        assert shown == list(drawn[name])
