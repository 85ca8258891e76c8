"""Studies of three to two dozen methods: no text is printed over another one or cut off."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from pruneproof.reporting import figures, style
from pruneproof.reporting.report import Report, load

DRAWINGS = {drawing.__name__.rpartition(".")[2]: drawing for drawing in figures.drawings()}  # type: ignore[attr-defined]
NAMES = list(DRAWINGS)


def texts(figure: Figure) -> list[Text]:
    """What is drawn: matplotlib also holds labels of ticks outside of an axis, and of axes that are off."""
    drawn: list[Text] = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        drawn += axes.texts
        if axes.axison:
            drawn += [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label]
            for axis in (axes.xaxis, axes.yaxis):
                low, high = sorted(axis.get_view_interval())
                drawn += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    return [one for one in dict.fromkeys(drawn) if one.get_visible() and one.get_text().strip()]


def faults(figure: Figure) -> list[str]:
    """Texts that overlap by more than a pixel, or leave the figure."""
    figure.draw_without_rendering()
    whole = figure.bbox
    # Of an annotation the text alone, without its line.
    boxes = [(one.get_text(), Text.get_window_extent(one)) for one in texts(figure)]
    boxes = [(text, box) for text, box in boxes if box.width and box.height]
    found = [
        f"{text!r} is cut off"
        for text, box in boxes
        if box.x0 < whole.x0 - 1 or box.y0 < whole.y0 - 1 or box.x1 > whole.x1 + 1 or box.y1 > whole.y1 + 1
    ]
    for (one, a), (other, b) in combinations(boxes, 2):
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1:
            found.append(f"{one!r} and {other!r} overlap")
    return found


@pytest.fixture(scope="module", params=[3, 9, 24])
def many(request: pytest.FixtureRequest, synthetic: Any, tmp_path_factory: pytest.TempPathFactory) -> Report:
    names = {
        3: ("full", "random_25", "atp_25"),
        9: (
            "full",
            *(f"{name}_{keep}" for name in ("random", "atp") for keep in (60, 25, 10)),
            *("fastv_25", "tome_60"),
        ),
        24: tuple(synthetic.MANY),
    }[request.param]
    grid = synthetic.Grid(
        corruptions=("gaussian_noise", "fog"),
        rewordings=("typo_ocr",),
        methods={name: synthetic.MANY[name] for name in names},
        images=2,
    )
    return load(*synthetic.write(tmp_path_factory.mktemp("many"), grid))


@pytest.mark.slow
@pytest.mark.parametrize("sheet", [style.PAGE, style.COLUMN], ids=["page", "column"])
@pytest.mark.parametrize("name", [one for one in NAMES if one not in ("scenes", "kept_patches")])
def test_no_text_is_printed_over_another_one_or_too_small(many: Report, name: str, sheet: style.Sheet) -> None:
    for frame in figures.frames(DRAWINGS[name], many).values():
        with style.styled():
            figure = DRAWINGS[name].draw(frame, many, sheet)
            assert faults(figure) == []
            assert min(one.get_fontsize() for one in texts(figure)) >= 7


@pytest.mark.parametrize("sheet", [style.PAGE, style.COLUMN], ids=["page", "column"])
@pytest.mark.parametrize("name", ["sweep", "ranking_parts"])
def test_figures_of_some_studies_print_no_text_over_another_one(swept: Report, name: str, sheet: style.Sheet) -> None:
    (frame,) = figures.frames(DRAWINGS[name], swept).values()
    with style.styled():
        figure = DRAWINGS[name].draw(frame, swept, sheet)
        assert faults(figure) == []
        assert min(one.get_fontsize() for one in texts(figure)) >= 7


def test_looks_are_all_different_and_kinds_share_a_colour(many: Report) -> None:
    looks = {(method.colour, method.marker, method.face): method.name for method in many.methods}
    assert len(looks) == len({method.name for method in many.methods})
    assert len({method.colour for method in many.methods}) == len({method.kind for method in many.methods})
    assert [method.kind for method in many.methods[:2]] == ["full", "control"]


def test_a_fault_would_be_found(tmp_path: Path) -> None:
    with style.styled():
        figure = style.new_figure(1.0)
        figure.text(0.5, 0.5, "above")
        figure.text(0.52, 0.52, "below")
        figure.text(0.98, 0.1, "too long to end here")
    assert faults(figure) == ["'too long to end here' is cut off", "'above' and 'below' overlap"]
