"""Methods against each other: what is said follows from numbers that are set by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pruneproof.reporting import documents, figures
from pruneproof.reporting.figures import rivals as figure
from pruneproof.reporting.latex import latex_table
from pruneproof.reporting.report import Report, load
from pruneproof.reporting.rival_answers import answers
from pruneproof.reporting.rival_table import rival_table
from pruneproof.reporting.rivals import counted, has_rivals, kind_means

BACKBONE = "builtin_llava"
NAMES = (
    *("full", "random_60", "random_25", "atp_25", "atp_25_attention", "fastervlm_25"),
    *("divprune_25", "divprune_60", "fastv_25", "tome_25"),
)
MINUS = "\N{MINUS SIGN}"


@pytest.fixture(scope="module")
def study(synthetic: Any, tmp_path_factory: pytest.TempPathFactory) -> Report:
    methods = {name: synthetic.MANY[name] for name in NAMES}
    grid = synthetic.Grid(corruptions=("fog",), rewordings=("typo_ocr",), methods=methods, images=2)
    return load(*synthetic.write(tmp_path_factory.mktemp("rivals"), grid))


def with_kinds(report: Report, metric: str, family: str, **values: tuple[float, float]) -> Report:
    """Each kind's mean, two points to either side, and its corrected p."""
    table = report.kinds.copy()
    for kind, (value, p) in values.items():
        where = (table["kind"] == kind) & (table["metric"] == metric) & (table["family"] == family)
        table.loc[where, ["value", "low", "high", "p_holm"]] = [value, value - 2, value + 2, p]
    return dataclasses.replace(report, kinds=table)


def said(report: Report, question: str) -> list[str]:
    """The sentences on the question that begins so."""
    return next(list(one.sentences) for one in answers(report, BACKBONE) if one.question.startswith(question))


def test_kinds_are_sorted_by_their_intervals_and_by_holm(study: Report) -> None:
    values = {"attention": (3.0, 0.01), "diversity": (3.0, 0.2), "text-guided": (-4.0, 0.01), "merging": (0.5, 0.01)}
    changed = with_kinds(study, "effective", "image", **values, language=(-1.0, 1.0))
    assert said(changed, "Which kind of method is more robust")[0] == (
        "Under corruption, more robust: attention (+3.0 points [+1.0, +5.0]); "
        f"less robust: text-guided ({MINUS}4.0 points [{MINUS}6.0, {MINUS}2.0]); cannot be told from its prediction: "
        f"diversity (+3.0 points [+1.0, +5.0]), merging (+0.5 points [{MINUS}1.5, +2.5]), "
        f"in the language model ({MINUS}1.0 points [{MINUS}3.0, +1.0])."
    )
    nothing = dict.fromkeys(values, (0.0, 1.0))
    changed = with_kinds(study, "hallucination/matched", "clean", **nothing, language=(5.0, 0.01))
    assert said(changed, "Which kind invents")[0].startswith(
        "On clean pictures, more absent objects than the full model: in the language model (+5.0 points [+3.0, +7.0]);"
    )
    changed = with_kinds(study, "hallucination/matched", "clean", **nothing, language=(0.0, 1.0))
    assert said(changed, "Which kind invents")[0].startswith(
        "On clean pictures, no kind is shown to invent more absent objects than the full model; cannot be told from it:"
    )


def test_random_pruning_at_another_door_is_held_against_the_same_curve(synthetic: Any, tmp_path: Path) -> None:
    inside = {"random_25_in_model": {"method": "random", "keep": 0.25, "door": "language", "layer": 1}}
    methods = {name: synthetic.MANY[name] for name in NAMES} | inside
    grid = synthetic.Grid(corruptions=("fog",), rewordings=("typo_ocr",), methods=methods, images=2)
    report = load(*synthetic.write(tmp_path, grid))
    sentences = said(report, "Which kind of method is more robust")
    elsewhere = [one for one in sentences if "random pruning elsewhere" in one]
    assert len(elsewhere) == 2
    assert all("Random in the model 25% (" in one and "Random 25%" not in one for one in elsewhere)


def test_a_kind_s_mean_stands_beside_its_extremes(study: Report) -> None:
    sentences = said(study, "Which kind invents objects")
    spread = next(one for one in sentences if one.startswith("Their methods differ: "))
    assert " from " in spread
    assert "control" not in spread


def with_picks(report: Report, low: float) -> Report:
    """ATP is the best that one can afford; the next is at least `low` points behind."""
    rows = [
        ("atp_25", 0.6, 81.0, 0.0, 0.0, 0.0, 70.0),
        ("fastv_25", 0.6, 79.0, 2.0, low, 4.0, 30.0),
        ("tome_25", 0.4, 78.0, 3.0, low, 14.0, 0.0),
    ]
    columns = ["method", "flops_ratio", "accuracy", "value", "low", "high", "first"]
    table = pd.DataFrame(rows, columns=columns).assign(backbone=BACKBONE, family="image")
    equal = report.equal_cost.copy()
    where = (equal["method"] == "atp_25") & (equal["cost"] == "flops") & (equal["family"] == "image")
    equal.loc[where, ["value", "low", "high"]] = [1.0, -1.0, 3.0]
    return dataclasses.replace(report, picks=table, equal_cost=equal)


def test_what_to_pick_says_plainly_what_cannot_be_told_apart(study: Report) -> None:
    (close,) = said(with_picks(study, -1.0), "What would one pick at 0.65")
    assert close == (
        "Of the 3 methods that cost no more, ATP 25% (0.60 of the FLOPs) is right most often under corruption (where "
        "the full model survives), 81.0%, and the best in 70% of the resamples; it cannot be told apart from FastV 25% "
        f"(0.60 of the FLOPs, 2.0 points [{MINUS}1.0, 4.0] behind), nor from ToMe 25%; of these, ToMe 25% costs least "
        f"(0.40); it is not to be told from random pruning at equal FLOPs (+1.0 points [{MINUS}1.0, +3.0])."
    )
    (clear,) = said(with_picks(study, 0.5), "What would one pick")
    assert (
        "; it is ahead of all others, the next being FastV 25% (0.60 of the FLOPs, 2.0 points [0.5, 4.0] behind);"
        in clear
    )


def test_rankings_are_said_with_their_ceiling(study: Report) -> None:
    image, text = said(study, "Does the ranking")
    assert image == (
        "Under corruption: yes. Over 6 methods Spearman's rank correlation is 0.80 [0.60, 0.90] and Kendall's 0.80 "
        "[0.60, 0.90]; over the 6 that read about as many tokens Spearman's is 0.80 [0.60, 0.90]. From one half of the "
        "pictures to the other, the clean ranking predicts this one with 0.70, and this one predicts itself with 0.75, "
        "the most that half of the pictures allow."
    )
    assert text.startswith("Under rewording: yes.")
    for low, verdict in ((0.2, "in part"), (-0.1, "that is not shown")):
        unsure = dataclasses.replace(study, ranking=study.ranking.assign(low=low))
        assert said(unsure, "Does the ranking")[0].startswith(f"Under corruption: {verdict}.")


def test_methods_that_save_flops_and_no_time_are_named(study: Report) -> None:
    latency = study.latency.copy()
    latency.loc[latency["method"] == "fastv_25", ["ratio_full_over_this", "ratio_low", "ratio_high"]] = [1.1, 0.9, 1.2]
    together = latency.assign(batch=8, ratio_full_over_this=0.5, ratio_low=0.4, ratio_high=0.6)
    changed = dataclasses.replace(study, latency=pd.concat([latency, together]))
    quickest, one, many = said(changed, "What does it cost")
    assert " takes least time: 0." in quickest
    assert (
        one
        == "One question about a picture: of 7 methods that save FLOPs, controls aside, 1 saves no time (FastV 25%)."
    )
    assert many.startswith(
        "8 questions at once about a picture: of 7 methods that save FLOPs, controls aside, 7 save no"
    )
    assert many.endswith(" and 2 more).")


def test_the_table_has_kinds_with_their_methods_below_and_the_entries_that_count(study: Report) -> None:
    table = rival_table(study, BACKBONE)
    kinds = ["full model", "control", "attention", "diversity", "text-guided", "merging", "in the language model"]
    assert [text for _, text in table.groups] == kinds
    for row, text in table.groups[1:]:
        assert table.rows[row][0] == "mean of the kind", text
    marked = {row[0] for row in table.rows if row[0].endswith("*")}
    assert len(marked) == len(counted(study, BACKBONE)) == 7
    assert {len(row) for row in table.rows} == {len(table.header)} == {sum(n for _, n in table.spans)}
    assert "n = 2 pictures" in latex_table(next(t for t in documents_tables(study) if t.name == f"{BACKBONE}_rivals"))
    (mean,) = [one for one in kind_means(study, BACKBONE, "effective", "image") if one.kind == "attention"]
    row = table.rows[next(row for row, text in table.groups if text == "attention")]
    assert row[5].startswith(f"{mean.estimate.value:+.1f}".replace("-", MINUS).replace("+0.0", "0.0"))


def documents_tables(report: Report) -> list[Any]:
    from pruneproof.reporting.tables import tables

    return tables(report)


def test_page_and_finding_hold_the_answers(study: Report) -> None:
    text = documents.finding_page(study)
    for answer in answers(study, BACKBONE):
        assert f"## {answer.question}" in text
        assert all(f"- {sentence}" in text for sentence in answer.sentences)
    page = documents.html_page(study, documents.judgements(study), documents_tables(study), {})
    assert page.count('id="on-builtin_llava-methods"') == 1
    assert page.count('id="table-builtin_llava_rivals"') == 1
    assert page.index("Which kind of method is more robust") < page.index('id="table-overview"')


def test_the_figure_has_a_row_for_every_kind_and_usable_method(study: Report) -> None:
    (frame,) = figures.frames(figure, study).values()
    kinds = frame.loc[frame["method"] == "", "kind"].unique().tolist()
    assert kinds == ["control", "attention", "diversity", "text-guided", "merging", "language"]
    assert set(frame["method"]) - {""} == {method.id for method in study.methods if method.id != "full"}
    assert frame.loc[(frame["measure"] == "flops") & (frame["method"] == "tome_25"), "value"].item() < 1


def test_a_study_of_a_few_methods_has_none_of_this(report: Report) -> None:
    """Six entries of two methods: one kind, the control aside."""
    assert not has_rivals(report, BACKBONE)
    assert answers(report, BACKBONE) == ()
    assert rival_table(report, BACKBONE).rows == ()
    assert figures.frames(figure, report) == {}
    text = documents.finding_page(report)
    assert text.startswith("On `builtin_llava`, ")
    assert "Methods against each other" not in text
