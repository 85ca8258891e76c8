"""Contact sheet: what the benchmark's images look like."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.figure import Figure

from pruneproof import files
from pruneproof.perturbations.gallery import Gallery
from pruneproof.reporting import pictures, style
from pruneproof.reporting.report import Report
from pruneproof.reporting.style import PAGE, Sheet

ORDER = 5
TITLE = "The pictures"
PICTURES = True
COUNT = 24


def caption(report: Report) -> str:
    """One paragraph that lets the figure be read alone."""
    return f"The first images of the benchmark `{report.study.benchmark.name}` with their group."


def frames(report: Report) -> dict[str, pd.DataFrame]:
    """The first images in the order of the benchmark."""
    rows = files.read_rows(report.folders.benchmark / "images.parquet", ["image_id", "group"])
    return {"scenes": pd.DataFrame(rows[:COUNT], columns=["image_id", "group"])}


def draw(frame: pd.DataFrame, report: Report, sheet: Sheet = PAGE) -> Figure:
    """Rows of six, or of four in a column."""
    clean = Gallery(report.study, report.folders).clean
    across = 4 if sheet.narrow else 6
    down = math.ceil(len(frame) / across)
    figure = style.new_figure(down * (sheet.width / across + 0.12), sheet, tight=True)
    panels = figure.subplots(down, across, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    for axes, (image_id, group) in zip(panels.flat, frame.itertuples(index=False, name=None), strict=False):
        axes.imshow(pictures.square(clean[image_id].read()))
        axes.set_title(group.replace("_", " "), fontsize=style.LABEL, fontweight="normal", loc="center", pad=2)
    return figure
