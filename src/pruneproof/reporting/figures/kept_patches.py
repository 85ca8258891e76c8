"""Scenes, clean and corrupted, with the patches that each method kept and what the model answered."""

from __future__ import annotations

import json
import math
import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pruneproof import files, records
from pruneproof.patches import Patches, Size, read_patches, resized
from pruneproof.perturbations.gallery import Gallery
from pruneproof.perturbations.images.stage import image_conditions
from pruneproof.pictures import Pixels
from pruneproof.reporting import pictures, style
from pruneproof.reporting.methods import Method
from pruneproof.reporting.report import Report
from pruneproof.reporting.style import PAGE, Sheet
from pruneproof.stored import NoPictureError, Stored

ORDER = 90
TITLE = "Patches kept"
PICTURES = True
CORRUPTIONS = 4
"""Corrupted columns beside the clean one."""
METHODS = 6
"""Rows."""
PREFERRED = ("colour", "relation", "existence")
COLUMNS = ["image_id", "question", "truth", "backbone", "method", "condition", "answer", "correct", "boxes", "kept"]


def caption(report: Report) -> str:
    """One paragraph that lets the figure be read alone."""
    return (
        "One picture under several conditions, with the patches that pass to the connector; what none of them shows is "
        "faded. Frame: the asked object, where the benchmark knows its place. Below each picture the model's answer. "
        f"The pictures are the first of the benchmark, not chosen by their result. {_methods_note(report)}"
    )


def _methods_note(report: Report) -> str:
    """Which methods are shown, in the order in which they are chosen."""
    shown = {method for name in report.backbones for method in _methods(report, name)}
    pruned = [method for method in shown if method.id != report.baseline]
    primary = {method for method in pruned if method.id in report.study.scoring.primary}
    random = {method for method in pruned if method.base == "random"} - primary
    groups = (
        ("the full model", len(pruned) < len(shown)),
        ("a random choice", random),
        ("primary methods" if len(primary) > 1 else "the primary method", primary),
        ("others", set(pruned) - random - primary),
    )
    named = [name for name, there in groups if there]
    keep = f"; {100 * (report.shown_keep() or 1.0):g}% of the visual tokens kept" if pruned else ""
    return f"Shown, at most {METHODS}: {', '.join(named)}{keep}."


def frames(report: Report) -> dict[str, pd.DataFrame]:
    """One frame per example; `kept` holds visual tokens, `boxes` corners in the clean image's pixels."""
    found = {}
    for backbone in report.backbones:
        for index, sample in enumerate(_samples(report), start=1):
            found[f"{backbone}/kept_patches_{index}"] = _frame(report, backbone, sample)
    return found


def _samples(report: Report) -> list[records.Sample]:
    """For each of the first images one question: the first that asks for an object whose place is known, of the
    preferred kinds if there is one; a benchmark may know no places at all."""
    by_image: dict[str, list[records.Sample]] = {}
    for row in files.read_rows(report.folders.benchmark / "samples.parquet"):
        if row["asks"] != "caption":
            by_image.setdefault(row["image_id"], []).append(records.sample_from_row(row))
    firsts = [min(samples, key=_preference) for samples in by_image.values()]
    placed = [sample for sample in firsts if sample.target_objects]
    return (placed or firsts)[: report.study.report.examples]


def _preference(sample: records.Sample) -> tuple[bool, int]:
    rank = PREFERRED.index(sample.kind) if sample.kind in PREFERRED else len(PREFERRED)
    return not sample.target_objects, rank


def _methods(report: Report, backbone: str) -> list[Method]:
    """Those shown, in the report's order."""
    own = report.at_keep(report.shown_keep(), backbone)
    primary = report.study.scoring.primary
    wanted = sorted(own, key=lambda one: (one.id != report.baseline, one.base != "random", one.id not in primary))
    return [method for method in own if method in wanted[:METHODS]]


def _conditions(report: Report) -> list[tuple[str, str, int]]:
    """Clean, then corruptions spread evenly over the list, at the middle severity."""
    names = report.perturbations("image")
    levels = sorted(set(report.study.perturbations.image.severities))
    places = [round(index * (len(names) - 1) / max(CORRUPTIONS - 1, 1)) for index in range(CORRUPTIONS)]
    chosen = list(dict.fromkeys(names[place] for place in places)) if names and levels else []
    return [("clean", "clean", 0), *(("image", name, levels[len(levels) // 2]) for name in chosen)]


def _frame(report: Report, backbone: str, sample: records.Sample) -> pd.DataFrame:
    scores = pictures.read_where(report.folders.scores / "per_answer.parquet", "sample_id", [sample.sample_id])
    correct = {
        (row["method"], row["perturbation"], row["severity"]): row["correct"]
        for row in scores
        if row["backbone"] == backbone
    }
    boxes = _boxes(report, sample)
    rows = []
    for method in _methods(report, backbone):
        path = report.folders.answers_of(backbone, method.id)
        answers = {
            (row["family"], row["perturbation"], row["severity"]): row
            for row in pictures.read_where(path, "sample_id", [sample.sample_id])
        }
        if not answers:
            continue
        for condition in _conditions(report):
            if condition in answers:
                answer = answers[condition]
                right = correct.get((method.id, *condition[1:]), math.nan)
                rows.append(_row(sample, backbone, method.id, condition, answer, right, boxes))
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(
    sample: records.Sample,
    backbone: str,
    method: str,
    condition: tuple[str, str, int],
    answer: dict[str, Any],
    right: float,
    boxes: str,
) -> tuple[Any, ...]:
    name = records.Condition(*condition).condition_id  # type: ignore[arg-type]
    kept = " ".join(str(index) for index in answer["kept"])
    asked = (sample.image_id, sample.question, sample.answer)
    return (*asked, backbone, method, name, answer["text"], right, boxes, kept)


def _boxes(report: Report, sample: records.Sample) -> str:
    objects = pictures.read_where(report.folders.benchmark / "objects.parquet", "image_id", [sample.image_id])
    asked = [row for row in objects if row["object_id"] in sample.target_objects]
    return json.dumps([[round(row[edge], 1) for edge in ("x0", "y0", "x1", "y1")] for row in asked])


def draw(frame: pd.DataFrame, report: Report, sheet: Sheet = PAGE) -> Figure:
    """Methods down, conditions across."""
    conditions = list(dict.fromkeys(frame["condition"]))
    methods = [method for method in report.methods if method.id in set(frame["method"])]
    image_id = frame["image_id"].iloc[0]
    size = _size(report, image_id)
    patches = read_patches(report.folders.patches / f"{frame['backbone'].iloc[0]}.parquet")
    images = _pictures(report, conditions, image_id)
    side = sheet.width / max(len(conditions) + 0.25, 4.25)
    letters = int(side / 0.058)
    down = side * min(1.0, max(size[1] / size[0], 0.5))  # a wide picture leaves its square empty above and below
    figure = style.new_figure(0.5 + (down + 0.19) * len(methods), sheet)
    grid = figure.subplots(len(methods), len(conditions), squeeze=False)
    for row, method in enumerate(methods):
        for column, condition in enumerate(conditions):
            axes = grid[row][column]
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            cell = frame[(frame["method"] == method.id) & (frame["condition"] == condition)]
            if len(cell):
                _cell(axes, cell.iloc[0], images[condition], size, patches, letters)
            if row == 0:
                axes.set_title(textwrap.fill(style.plain(condition), letters), fontsize=style.LABEL, loc="center")
        name = textwrap.fill(method.label, letters + 2)
        grid[row][0].set_ylabel(name, fontsize=style.LABEL, fontweight="bold", color=method.colour)
    asked = f"{frame['question'].iloc[0]}  \N{RIGHTWARDS ARROW}  {frame['truth'].iloc[0]}"
    figure.suptitle(textwrap.fill(asked, int(sheet.width / 0.075)), fontsize=8.5)
    return figure


def _cell(
    axes: Axes, cell: Any, picture: tuple[Pixels, Size] | None, size: Size, patches: Patches, letters: int
) -> None:
    right = {1.0: " \N{CHECK MARK}", 0.0: " \N{BALLOT X}"}.get(cell["correct"], "")
    colour = {1.0: "#00694c", 0.0: "#b03a00"}.get(cell["correct"], style.GREY)
    answer = str(cell["answer"])
    answer = answer if len(answer) <= letters - 2 else f"{answer[: letters - 3]}\N{HORIZONTAL ELLIPSIS}"
    axes.set_xlabel(f"{answer}{right}", fontsize=style.LABEL, color=colour, labelpad=1.5)
    if picture is None:
        axes.text(
            0.5, 0.5, "unreadable", ha="center", va="center", transform=axes.transAxes, color=style.GREY,
            fontsize=style.LABEL,
        )  # fmt: skip
        return
    pixels, shown = picture
    scale = max(pixels.shape) / max(shown)
    kept = [int(index) for index in cell["kept"].split()]
    axes.imshow(pictures.fade_dropped(pixels, scale * patches.of(shown)[kept]), interpolation="bilinear")
    asked = np.reshape(json.loads(cell["boxes"]), (-1, 4))
    for x0, y0, x1, y1 in scale * resized(asked, size, shown):  # they differ with the resolution policy `model`
        for colour, width in (("white", 1.6), ("#111111", 0.7)):
            axes.add_patch(Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, ec=colour, lw=width))


def _size(report: Report, image_id: str) -> Size:
    path = report.folders.benchmark / "images.parquet"
    row = pictures.read_where(path, "image_id", [image_id], ["image_id", "width", "height"])[0]
    return row["width"], row["height"]


def _pictures(report: Report, conditions: list[str], image_id: str) -> dict[str, tuple[Pixels, Size] | None]:
    """One picture under some conditions; None where it could not be made."""
    gallery = Gallery(report.study, report.folders)
    known = {one.condition_id: one for one in (records.CLEAN, *image_conditions(report.study.perturbations.image))}
    return {name: _picture(gallery.under(known[name]).get(image_id)) for name in conditions}


def _picture(stored: Stored | None) -> tuple[Pixels, Size] | None:
    try:
        return None if stored is None else pictures.whole(stored.read())
    except NoPictureError:
        return None
