"""A backbone that is run with some of the study's methods: nothing asks it for the others."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from pruneproof.reporting import documents, figures, headline
from pruneproof.reporting.cost_tables import family_table
from pruneproof.reporting.report import Report, load
from pruneproof.reporting.tables import tables

OWN = ("full", "random_25", "atp_25")


@pytest.fixture(scope="module")
def mixed(synthetic: Any, grid: Any, tmp_path_factory: pytest.TempPathFactory) -> Report:
    names = ("builtin_llava", "builtin_blip2")
    some = dataclasses.replace(
        grid, corruptions=("fog",), rewordings=("typo_ocr",), backbones=names, images=2, some={"builtin_blip2": OWN}
    )
    return load(*synthetic.write(tmp_path_factory.mktemp("mixed"), some))


def test_tables_have_rows_of_its_own_methods_alone(mixed: Report) -> None:
    labels = {"builtin_llava": 6, "builtin_blip2": 3}
    for table in tables(mixed):
        if table.backbone and table.header[0] == "Method":
            full_too = not table.name.endswith("contrasts")
            assert len(table.rows) == labels[table.backbone] - 1 + full_too, table.name
        elif table.backbone:
            assert len(table.header) - 1 == len([m for m in mixed.methods_of(table.backbone) if not m.variant])


def test_headline_has_a_row_for_each_run(mixed: Report) -> None:
    table = headline.headline(mixed)
    assert table.groupby("backbone", sort=False)["method"].apply(tuple)["builtin_blip2"] == OWN
    assert len(table) == 9


def test_figures_show_its_own_methods(mixed: Report) -> None:
    for drawing in figures.drawings():
        for name, frame in figures.frames(drawing, mixed).items():
            if name.startswith("builtin_blip2/"):
                assert {one for one in frame["method"] if not one.startswith("(")} <= set(OWN), name
                assert "keep" not in frame or set(frame["keep"]) == {0.25}, name


def test_claims_are_judged_on_the_entry_that_it_has(mixed: Report) -> None:
    judged = documents.judgements(mixed)
    assert [(one.backbone, one.methods[0][0], len(one.budgets)) for one in judged] == [
        ("builtin_llava", "ATP 60%", 3),
        ("builtin_blip2", "ATP 25%", 1),
    ]
    page = documents.claims_page(mixed, judged, tables(mixed))
    assert "builtin_blip2, ATP 25%" in page
    assert [row[0] for row in family_table(mixed).rows] == [
        "builtin_llava, Full", "builtin_llava, ATP 60%", "builtin_llava, Random 60%",
        "builtin_blip2, Full", "builtin_blip2, ATP 25%", "builtin_blip2, Random 25%",
    ]  # fmt: skip


def test_a_backbone_without_the_method_has_no_claims(
    synthetic: Any, grid: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    some = dataclasses.replace(
        grid, corruptions=("fog",), rewordings=(), backbones=("one", "other"), images=2, some={"other": ("full",)}
    )
    report = load(*synthetic.write(tmp_path_factory.mktemp("claims"), some))
    assert [one.backbone for one in documents.judgements(report)] == ["one"]
    assert family_table(report).rows == ()
