"""One look for every figure, and files whose bytes depend on the drawing alone."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from pruneproof import files
from pruneproof.reporting.methods import Method
from pruneproof.reporting.placement import Scene, line_end, place_labels

Floats = NDArray[np.float64]

WIDTH = 7.0
"""Inches: the text width of a two-column paper."""
DPI = 144
"""Of PNGs: a web page shows them about a thousand pixels wide, and papers take the PDFs."""
PRINT_DPI = 200
"""Of the pictures inside PDFs."""
GREY = "#6b6b6b"
RULES: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 7.5,
    "axes.labelcolor": "#333333",
    "axes.edgecolor": "#999999",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "legend.handlelength": 2.2,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,
    "text.usetex": False,
    # Questions and answers may hold dollar signs, a pair of which would be read as a formula.
    "text.parse_math": False,
}


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib's defaults with this project's rules, whatever the user's own configuration says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(RULES)
        yield


def new_figure(height: float, tight: bool = False) -> Figure:
    """A figure of the paper's width; `height` in inches; `tight` leaves hardly any room between panels."""
    layout: Any = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.0, hspace=0.0) if tight else "constrained"
    figure = Figure(figsize=(WIDTH, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def render(figure: Figure, kind: str) -> bytes:
    """The figure as `png` or `pdf`, without date or program name."""
    empty: dict[str, Any] = (
        {"Software": None} if kind == "png" else {"Creator": None, "Producer": None, "CreationDate": None}
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=DPI if kind == "png" else PRINT_DPI, metadata=empty)
    return buffer.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Write `path` with the endings `.pdf` and `.png`."""
    settle(figure)  # the slow part, done once for both
    for kind in ("pdf", "png"):
        files.write_bytes(path.with_name(f"{path.name}.{kind}"), render(figure, kind))


def handle(method: Method, label: str, line: bool = True) -> Line2D:
    """A legend entry; without `line` only the marker."""
    dashes = method.line if line else "none"
    face = "white" if method.variant else method.colour
    return Line2D([], [], color=method.colour, marker=method.marker, mfc=face, ls=dashes, label=label)


def legend_above(figure: Figure, handles: list[Line2D], columns: int = 6) -> None:
    """One legend for the whole figure, above its panels."""
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), columns))


def settle(figure: Figure) -> None:
    """Lay the figure out and keep it so: what is placed in points afterwards stays where it is."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def label_points(
    axes: Axes,
    places: Sequence[tuple[float, float]],
    texts: Sequence[str],
    colours: Sequence[str],
    *,
    marker: float,
    curve: Floats,
    size: float = 6.0,
) -> None:
    """Name points so that no name covers another one or a point; a thin line leads to a name that lies further away.

    Args:
        axes: of a figure that `settle` laid out.
        places: of the points, in data coordinates.
        texts: their names.
        colours: of the names.
        marker: size of the points' markers, in typographic points.
        curve: (M, 2) a line, in data coordinates, that names had better not cover.
        size: of the font, in typographic points.
    """
    figure = axes.figure
    unit = figure.dpi / 72  # pixels in a point
    names = [axes.annotate(text, place, fontsize=size) for text, place in zip(texts, places, strict=True)]
    boxes = [name.get_window_extent() for name in names]
    shown = axes.transData.transform(curve) if len(curve) else np.zeros((0, 2))
    scene = Scene(
        points=axes.transData.transform(np.reshape(places, (-1, 2))) / unit,
        sizes=np.array([(box.width, box.height) for box in boxes]).reshape(-1, 2) / unit + 1.0,
        radius=marker / 2 + 0.5,
        frame=np.array(axes.bbox.extents) / unit,
        curve=shown / unit,
    )
    centres = place_labels(scene)
    for index, (name, colour) in enumerate(zip(names, colours, strict=True)):
        name.remove()
        line = line_end(scene, index, centres[index]) is not None
        axes.annotate(
            texts[index], places[index], xytext=centres[index] - scene.points[index], textcoords="offset points",
            fontsize=size, color=colour, ha="center", va="center", in_layout=False,
            arrowprops={"arrowstyle": "-", "lw": 0.4, "color": colour, "shrinkA": 0, "shrinkB": 0} if line else None,
        )  # fmt: skip


def chance_line(axes: Axes, level: float) -> None:
    """A dotted line at the accuracy of a model that sees nothing; none where it is unknown."""
    if level == level:
        axes.axhline(level, color=GREY, lw=0.8, ls=(0, (1, 2)), zorder=0, gid="chance")


def percent_axis(axes: Axes, label: str = "") -> None:
    """Label a y axis that holds percentages."""
    axes.set_ylabel(label)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def two_lines(method: Method) -> str:
    """A method's name above its share of tokens, for narrow titles."""
    return method.name if method.keep is None else f"{method.name}\n{100 * method.keep:g}%"


def plain(name: str) -> str:
    """A perturbation's name for a reader: `jpeg_compression` -> `JPEG compression`."""
    text = name.replace("_", " ")
    return text.replace("jpeg", "JPEG").replace("ocr", "OCR") if text else text
