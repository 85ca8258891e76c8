from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

from pruneproof import files, records
from pruneproof.reporting import figures, pictures, style
from pruneproof.reporting.figures import Drawing, accuracy_flops, kept_targets
from pruneproof.reporting.report import Report, load
from pruneproof.scoring.chance import FLOOR

DRAWINGS = {drawing.__name__.rpartition(".")[2]: drawing for drawing in figures.drawings()}  # type: ignore[attr-defined]
NAMES = list(DRAWINGS)
OF_SOME = ("sweep", "ranking_parts")
"""Figures of studies that have what they show."""


def first(name: str, report: Report) -> tuple[Drawing, pd.DataFrame]:
    drawing = DRAWINGS[name]
    return drawing, next(iter(figures.frames(drawing, report).values()))


def test_the_demanded_figures_exist_in_order() -> None:
    assert NAMES == [
        "effective_robustness",
        "scenes", "accuracy_severity", "rivals", "hallucination_severity", "accuracy_corruptions", "drops_heatmap",
        "text_perturbations", "dialogue_turns", "accuracy_flops", "sweep", "kept_targets", "ranking_parts",
        "kept_patches",
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_csv_holds_what_is_drawn(
    name: str, report: Report, swept: Report, competing: Report, tmp_path: Path
) -> None:
    report = competing if name == "rivals" else swept if name in OF_SOME else report
    drawing, frame = first(name, report)
    assert "n = 3 pictures, 320 questions" in figures.caption(drawing, report)
    with style.styled():
        shown = figures.save(drawing, name, frame, report, tmp_path)
    written = pd.read_csv(tmp_path / f"{name}.csv")
    assert list(written.columns) == list(frame.columns)
    assert len(written) == len(frame) > 0
    for column in frame.select_dtypes("number"):
        assert np.allclose(written[column], frame[column], rtol=1e-5, equal_nan=True)
    assert shown.suffix == (".webp" if name in ("scenes", "kept_patches") else ".svg")
    assert shown.read_bytes()[:4] == (b"RIFF" if shown.suffix == ".webp" else b"<svg")
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    for ending, width in (("", 7.0), ("_column", 3.3)):
        pdf = (tmp_path / f"{name}{ending}.pdf").read_bytes()
        found = re.search(rb"/MediaBox \[ *0 0 ([0-9.]+) ", pdf)
        assert found is not None
        assert float(found[1]) == pytest.approx(72 * width, abs=0.1)
        assert b"/Subtype /Type0" in pdf, "text is not a font"
    assert f"{{{name}_column.pdf}}" in (tmp_path / f"{name}.tex").read_text()


def test_curves_pass_through_the_rows_of_the_csv(report: Report) -> None:
    drawing, frame = first("accuracy_severity", report)
    with style.styled():
        figure = drawing.draw(frame, report)
    for axes, keep in zip(figure.axes, (0.6, 0.25), strict=True):
        chance = [line for line in axes.get_lines() if line.get_gid() == "chance"]
        assert [list(line.get_ydata()) for line in chance] == [[55.0, 55.0]]
        curves = [line for line in axes.get_lines() if line.get_gid() not in ("chance", "leader")]
        drawn = {tuple(np.asarray(line.get_ydata(), float)) for line in curves}
        panel = frame[frame["keep"] == keep]
        assert drawn == {tuple(rows["value"]) for _, rows in panel.groupby("method")}
        assert len(axes.collections) == 3
        ends = {text.get_text() for text in axes.texts}
        assert ends == {"Full", "Random", "ATP"}


def test_hallucination_is_drawn_at_matched_recall_and_as_answered(report: Report) -> None:
    drawing, frame = first("hallucination_severity", report)
    for label, metric in zip(
        dict.fromkeys(frame["measure"]), ("hallucination/matched", "hallucination/rate"), strict=False
    ):
        rows = frame[(frame["measure"] == label) & (frame["method"] == "atp_25") & (frame["severity"] == 3)]
        expected = report.estimate("builtin_llava", "atp_25", metric, "image", "mean", 3)
        assert rows[["value", "low", "high"]].to_numpy().tolist() == [[expected.value, expected.low, expected.high]]
    with style.styled():
        figure = drawing.draw(frame, report)
    assert "matched" in figure.axes[0].get_ylabel()


def test_heat_map_cells_show_the_contrasts(report: Report) -> None:
    drawing, frame = first("drops_heatmap", report)
    with style.styled():
        figure = drawing.draw(frame, report)
    axes = figure.axes[0]
    order = [tick.get_text() for tick in axes.get_yticklabels()]
    assert order[:3] == ["Full", "Random 60%", "Random 25%"]
    rows = frame[frame["method"] == "atp_60"]
    line = order.index("ATP 60%")
    image = np.ma.getdata(axes.images[0].get_array())
    assert image[line].tolist() == rows["value"].tolist()
    sure = [low > 0 or high < 0 for low, high in zip(rows["low"], rows["high"], strict=True)]
    (dots,) = [one for one in axes.collections if one.get_gid() == "sure"]
    marked = {int(x) for x, y in np.asarray(dots.get_offsets()) if int(y) == line}
    assert marked == {place for place, one in enumerate(sure) if one}


def test_the_full_models_own_drops_have_a_scale_of_their_own(report: Report) -> None:
    _, frame = first("drops_heatmap", report)
    own = frame[(frame["method"] == "full") & (frame["perturbation"] == "fog") & (frame["severity"] == 3)]
    expected = report.estimate("builtin_llava", "full", "robust/drop_all", "image", "fog", 3)
    assert own["value"].item() == expected.value


def test_cells_in_which_the_full_model_sees_nothing_are_hatched_and_counted(report: Report) -> None:
    """Retention of 19.9% under fog at severity 3, and undefined at severity 5."""
    summary = report.summary.copy()
    own = (summary["method"] == "full") & (summary["metric"] == "robust/retention")
    summary.loc[own, "value"] = 20.0
    for severity, value in (("3", 19.9), ("5", np.nan)):
        summary.loc[own & (summary["perturbation"] == "fog") & (summary["severity"] == severity), "value"] = value
    changed = dataclasses.replace(report, summary=summary)
    assert changed.floor_cells("builtin_llava", "image") == [("fog", 3), ("fog", 5)]
    drawing, frame = first("drops_heatmap", changed)
    assert "2 of 9 conditions" in drawing.caption(changed)
    assert f"less than {100 * FLOOR:g}% of its lead" in drawing.caption(changed)
    with style.styled():
        figure = drawing.draw(frame, changed)
    axes = figure.axes[0]
    hatched = {(patch.get_x() + 0.5, patch.get_height()) for patch in axes.patches if patch.get_hatch()}
    assert hatched == {(4.0, 6.0), (5.0, 6.0)}  # fog is the second corruption of three severities; six methods


def test_kept_patches_are_those_of_the_answers(report: Report) -> None:
    _, frame = first("kept_patches", report)
    counts = frame.groupby("method")["kept"].apply(lambda kept: {len(text.split()) for text in kept})
    assert counts.to_dict() == {"full": {256}, "random_25": {64}, "atp_25": {64}}
    assert set(frame["boxes"]) == {"[[60.0, 80.0, 110.0, 130.0]]"}


def test_kept_patches_are_shown_where_they_lie(report: Report) -> None:
    """A token of the clean picture is visible if and only if it is kept."""
    drawing, frame = first("kept_patches", report)
    with style.styled():
        figure = drawing.draw(frame, report)
    cell = frame[(frame["method"] == "atp_25") & (frame["condition"] == "clean")].iloc[0]
    conditions = list(dict.fromkeys(frame["condition"]))
    row = [method.id for method in report.methods if method.id in set(frame["method"])].index("atp_25")
    axes = figure.axes[row * len(conditions)]
    found = np.asarray(axes.images[0].get_array())
    path = report.folders.benchmark / "images.parquet"
    original, _ = pictures.whole(pictures.read_where(path, "image_id", [cell["image_id"]])[0]["png"])
    same = (found == original).all(2).reshape(16, 14, 16, 14).all((1, 3)).ravel()
    assert np.flatnonzero(same).tolist() == [int(token) for token in cell["kept"].split()]
    corners = {(patch.get_x(), patch.get_y(), patch.get_width(), patch.get_height()) for patch in axes.patches}
    assert corners == {(59.5, 79.5, 50.0, 50.0)}


def drawn_bytes(name: str, report: Report) -> list[bytes]:
    drawing, frame = first(name, report)
    with style.styled():
        return [style.render(drawing.draw(frame, report), kind) for kind in ("png", "pdf", "svg")]


@pytest.mark.parametrize("name", ["accuracy_severity", "scenes"])
def test_two_drawings_give_the_same_bytes(name: str, report: Report) -> None:
    once, twice = drawn_bytes(name, report), drawn_bytes(name, report)
    assert once == twice
    assert b"CreationDate" not in once[1]
    assert b"Software" not in once[0]


EDGES = {
    "no ATP": {"methods": ("full", "random_25")},
    "full alone": {"methods": ("full",)},
    "one of each": {"severities": (3,), "corruptions": ("fog",), "rewordings": ("typo_ocr",), "intervals": False},
    "nothing perturbed": {"corruptions": (), "rewordings": ()},
    "no dialogues": {"dialogues": ()},
    "two backbones": {"backbones": ("builtin_llava", "other_llava")},
}


@pytest.mark.parametrize("edge", EDGES)
def test_every_figure_survives(edge: str, synthetic: Any, grid: Any, tmp_path: Path) -> None:
    changes: dict[str, Any] = dict(EDGES[edge])
    if "methods" in changes:
        changes["methods"] = {name: synthetic.METHODS[name] for name in changes["methods"]}
    methods = {name: synthetic.METHODS[name] for name in ("full", "random_25", "atp_25")}
    small = dataclasses.replace(grid, corruptions=grid.corruptions[:2], methods=methods, images=2)
    report = load(*synthetic.write(tmp_path, dataclasses.replace(small, **changes)))
    draw_all(report)


def test_every_figure_survives_values_that_are_nan(report: Report) -> None:
    summary = report.summary.copy()
    summary.loc[summary["method"] == "atp_25", ["value", "low", "high"]] = np.nan
    contrasts = report.contrasts.copy()
    contrasts.loc[contrasts["severity"] == "3", ["value", "low", "high"]] = np.nan
    draw_all(dataclasses.replace(report, summary=summary, contrasts=contrasts))


@pytest.mark.parametrize("name", OF_SOME)
def test_figures_of_some_studies_are_left_out_of_others(name: str, report: Report) -> None:
    assert figures.frames(DRAWINGS[name], report) == {}


def draw_all(report: Report) -> None:
    for drawing in DRAWINGS.values():
        for frame in list(figures.frames(drawing, report).values())[-1:]:
            with style.styled():
                for sheet in (style.PAGE, style.COLUMN):
                    figure = drawing.draw(frame, report, sheet)
                    figure.draw_without_rendering()
                    assert figure.axes


def test_no_text_is_read_as_a_formula(report: Report) -> None:
    drawing, frame = first("kept_patches", report)
    question = r"Is it $5 (50% off) or $10? {\\x_y^"
    with style.styled():
        figure = drawing.draw(frame.assign(question=question, answer="$x^$ _{"), report)
        figure.draw_without_rendering()
    assert question in figure.get_suptitle()


def test_no_cell_is_a_formula(report: Report, tmp_path: Path) -> None:
    drawing, frame = first("kept_patches", report)
    with style.styled():
        figures.save(drawing, "kept", frame.assign(answer="=cmd()"), report, tmp_path)
    assert set(pd.read_csv(tmp_path / "kept.csv")["answer"]) == {"'=cmd()"}


def test_patches_are_shown_of_a_benchmark_without_masks(synthetic: Any, grid: Any, tmp_path: Path) -> None:
    study, folders = synthetic.write(tmp_path, grid)
    path = folders.benchmark / "samples.parquet"
    rows = files.read_rows(path)
    files.write_rows(path, [row | {"target_objects": []} for row in rows], records.SAMPLES)
    files.write_rows(folders.benchmark / "objects.parquet", [], records.OBJECTS)
    report = load(study, folders)
    drawing, frame = first("kept_patches", report)
    assert set(frame["boxes"]) == {"[]"}
    with style.styled():
        assert drawing.draw(frame, report).axes


def test_the_front_holds_what_none_beats() -> None:
    """By hand: the second costs more and is worth less than the first; the last two are equal."""
    found = accuracy_flops.pareto(np.array([1.0, 2.0, 3.0, 3.0]), np.array([5.0, 4.0, 6.0, 6.0]))
    assert found.tolist() == [True, False, True, True]


def test_three_choices_of_a_dialogue_share_a_panel(report: Report) -> None:
    _, frame = first("dialogue_turns", report)
    assert set(frame["panel"]) == {"atp_25"}
    choices = frame.groupby("method")["select_by"].unique().map(list).to_dict()
    assert choices == {"full": ["each"], "random_25": ["each"], "atp_25": ["first", "last", "each"]}


def test_the_caption_of_what_pruning_keeps_tells_of_the_panels_that_are_there(
    report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = kept_targets.caption(report)
    assert whole.startswith("Top: share of the asked object's patches")
    assert "Bottom: Jaccard overlap" in whole
    overlap = {
        name: frame[frame["measure"] == kept_targets.MEASURES[1].label]
        for name, frame in kept_targets.frames(report).items()
    }
    monkeypatch.setattr(kept_targets, "frames", lambda report: overlap)
    only = "Jaccard overlap of the tokens kept on the corrupted and on the clean image. Means over all corruptions."
    assert kept_targets.caption(report) == only


@pytest.mark.parametrize(
    ("along", "values", "beyond", "ticks", "end"),
    [
        ("y", (88.0, 100.0), False, 100, 100.38),  # a margin of 5%, of which a marker needs less
        ("x", (0.0, 99.0), False, 100, 103.0),
        ("y", (40.0, 104.0), False, 100, 101.9),  # an interval of Student's t may reach too far
        ("x", (60.0, 100.0), True, 100, 101.26),
        ("x", (60.0, 130.0), True, 130, 133.5),  # FLOPs of a method that costs more than the full model
        ("y", (40.0, 60.0), False, 60, 61.0),
    ],
)
def test_percentages_end_at_a_hundred(
    along: Literal["x", "y"], values: tuple[float, float], beyond: bool, ticks: float, end: float
) -> None:
    figure = style.new_figure(2.0)
    axes = figure.subplots()
    axes.plot(*((values, (0, 1)) if along == "x" else ((0, 1), values)))
    style.percent_axis(axes, "share (%)", along=along, beyond=beyond)
    axis = axes.xaxis if along == "x" else axes.yaxis
    low, high = axis.get_view_interval()
    shown = [tick for tick in axis.get_majorticklocs() if low <= tick <= high]
    assert max(shown) == ticks
    assert min(shown) >= 0
    assert high == pytest.approx(end, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["accuracy_flops", "effective_robustness", "accuracy_severity", "accuracy_corruptions"]
)
def test_no_axis_of_accuracies_runs_past_a_hundred(name: str, report: Report) -> None:
    frame = DRAWINGS[name].frames(report)[f"builtin_llava/{name}"]
    accuracies = [column for column in ("clean", "value", "low", "high") if column in frame]
    better = frame.assign(**{column: frame[column] + 100 - frame["value"].max() for column in accuracies})
    with style.styled():
        figure = DRAWINGS[name].draw(better, report, style.PAGE)
    for axes in (one for one in figure.axes if one.axison):
        low, high = axes.get_ylim()
        assert high <= 100 + style.BEYOND * (100 - max(low, 0)) + 1e-9
        assert max(tick for tick in axes.get_yticks() if low <= tick <= high) <= 100
