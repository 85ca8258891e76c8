"""Which entries of a study form a sweep, and what its heat maps show."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pruneproof.reporting import figures, style
from pruneproof.reporting.figures import sweep as drawing
from pruneproof.reporting.methods import describe
from pruneproof.reporting.report import Report
from pruneproof.reporting.sweeps import Sweep, sweeps
from pruneproof.settings import MethodSettings


def found(report: Report, entries: dict[str, dict[str, Any]]) -> list[Sweep]:
    """The sweeps of a study with these methods beside the full model, all of them scored."""
    methods = {
        name: MethodSettings.model_validate(options)
        for name, options in {"full": {"method": "full"}, **entries}.items()
    }
    rows = [report.summary[report.summary["method"] == "full"].assign(method=name) for name in methods]
    study = report.study.model_copy(update={"methods": methods})
    return sweeps(replace(report, study=study, summary=pd.concat(rows)), "builtin_llava")


def test_two_values_of_two_options_are_a_sweep(report: Report) -> None:
    """FastV, of which nothing in this code knows: the budget goes down, whichever varies more."""
    entries = {
        f"fastv_{keep}_layer_{layer}": {"method": "fastv", "keep": keep / 100, "layer": layer}
        for keep in (50, 25)
        for layer in (1, 2, 3)
    }
    (sweep,) = found(report, entries)
    assert (sweep.base, sweep.title, sweep.across, sweep.down) == ("fastv", "FastV", "layer", "keep")
    places = [(cell.panel, cell.across, cell.down) for cell in sweep.cells]
    assert places == [("", layer, keep) for layer in (1, 2, 3) for keep in (0.25, 0.5)]


@pytest.mark.parametrize(
    "entries",
    [
        {},
        {"atp_60": {"keep": 0.6}, "atp_25": {"keep": 0.25}, "atp_10": {"keep": 0.1}},
        # Both options vary, but never against each other.
        {"atp_60": {"keep": 0.6, "alpha": 0.5}, "atp_25": {"keep": 0.25, "alpha": 0.0}},
        {"atp_60": {"keep": 0.6}, "atp_60_a": {"keep": 0.6, "alpha": 0.0}, "atp_25": {"keep": 0.25}},
        # Words are not numbers.
        {
            f"atp_{keep}_{how}": {"keep": keep / 100, "normalisation": how}
            for keep in (60, 25)
            for how in ("minmax", "softmax")
        },
    ],
)
def test_anything_less_is_none(report: Report, entries: dict[str, dict[str, Any]]) -> None:
    assert found(report, {name: {"method": "atp", **options} for name, options in entries.items()}) == []


def test_other_options_make_panels(swept: Report) -> None:
    """Values of alpha and keep, each panel with what the study has, without the twins that rank on clean pictures."""
    (sweep,) = sweeps(swept, "builtin_llava")
    panels: dict[str, set[tuple[float, float]]] = {}
    for cell in sweep.cells:
        panels.setdefault(cell.panel, set()).add((cell.across, cell.down))
    keeps = (0.25, 0.6)
    assert panels == {
        "relevance sign 1": {(alpha, keep) for alpha in (0.0, 0.25, 0.5, 0.75) for keep in keeps},
        "relevance sign \N{MINUS SIGN}1": {(alpha, keep) for alpha in (0.5, 1.0) for keep in keeps},
    }


def test_cells_hold_the_scores_and_their_difference_from_random(swept: Report) -> None:
    frame = figures.frames(drawing, swept)["builtin_llava/sweep_atp"]
    rows = frame[frame["method"] == "atp_25_reversed"].set_index("measure")
    assert len(rows) == 3
    assert set(rows["control"]) == {"random_25"}
    kept = rows.loc["Retention, corrupted (%)"]
    own, other = (
        swept.estimate("builtin_llava", name, "robust/retention", "image", "live").value
        for name in ("atp_25_reversed", "random_25")
    )
    assert kept["value"] == own
    assert kept["difference"] == pytest.approx(own - other)
    beside = frame[(frame["panel"] == "random") & (frame["y"] == 0.25)]
    assert list(beside["method"]) == ["random_25"] * 3
    assert beside["value"].iloc[1] == other


def test_hatched_are_the_cells_that_cannot_be_told_from_random(swept: Report) -> None:
    frame = figures.frames(drawing, swept)["builtin_llava/sweep_atp"]
    panel = frame["panel"] == "relevance sign 1"
    first = panel & (frame["measure"] == "Accuracy, clean (%)")
    told = first & (frame["x"] == 0.25) & (frame["y"] == 0.6)
    frame.loc[first, ["difference_low", "difference_high"]] = [-1.0, 1.0]
    frame.loc[told, ["difference_low", "difference_high"]] = [0.1, 1.0]
    with style.styled():
        figure = drawing.draw(frame, swept)
    axes = figure.axes[1]
    hatched = {(patch.get_x() + 0.5, patch.get_y() + 0.5) for patch in axes.patches if patch.get_hatch()}
    assert hatched == {(x, y) for x in range(4) for y in range(2)} - {(1.0, 0.0)}
    shown = np.ma.getdata(axes.images[0].get_array())
    cells = frame[first].set_index(["y", "x"])["value"]
    assert shown.tolist() == [[cells[y, x] for x in (0.0, 0.25, 0.5, 0.75)] for y in (0.6, 0.25)]
    written = {text.get_text() for text in axes.texts}
    assert f"{cells[0.6, 0.0]:.1f}" in written


def test_darker_is_worse(swept: Report) -> None:
    frame = figures.frames(drawing, swept)["builtin_llava/sweep_atp"]
    with style.styled():
        figure = drawing.draw(frame, swept)
    bars = [axes for axes in figure.axes if axes.get_ylabel()]
    assert [bar.get_ylabel() for bar in bars] == [*["\N{LEFTWARDS ARROW} worse"] * 2, "worse \N{RIGHTWARDS ARROW}"]
    maps = [axes.images[0] for axes in figure.axes if axes.images]
    lightness = [sum(image.to_rgba(image.norm.vmin)[:3]) for image in maps]
    assert [value < 1.5 for value in lightness] == [True] * 6 + [False] * 3


def test_variants_of_one_name_keep_their_numbers() -> None:
    ids = {
        "atp_60": 0.5, "atp_60_attention": 0.0, "atp_60_alpha_0_25": 0.25, "atp_60_alpha_0_75": 0.75,
        "atp_60_alpha_1": 1.0,
    }  # fmt: skip
    entries = {
        name: MethodSettings.model_validate({"method": "atp", "keep": 0.6, "alpha": alpha})
        for name, alpha in ids.items()
    }
    labels = {method.id: method.label for method in describe(entries)}
    assert [labels[name] for name in ids] == [
        "ATP 60%", "ATP 60% (attention)", "ATP 60% (alpha 0.25)", "ATP 60% (alpha 0.75)", "ATP 60% (alpha 1)",
    ]  # fmt: skip
