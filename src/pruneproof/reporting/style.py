"""One look for every figure, and files whose bytes depend on the drawing alone."""

from __future__ import annotations

import io
import logging
import math
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, get_font_names
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath
from matplotlib.ticker import AutoLocator

from pruneproof import files
from pruneproof.reporting.methods import COLOURS, KIND_NAMES, Method

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a figure is drawn for."""

    width: float
    """In inches."""
    ending: str
    """Of the file's name."""

    @property
    def narrow(self) -> bool:
        """Whether there is no room for panels side by side that hold more than curves."""
        return self.width < 5.0


PAGE = Sheet(7.0, "")
"""The text width of a two-column paper, and the web page."""
COLUMN = Sheet(3.3, "_column")
"""One column of such a paper."""
DPI = 144
"""Of PNGs: a web page shows them about a thousand pixels wide, and papers take the PDFs."""
PRINT_DPI = 300
"""Of the pictures inside PDFs."""
GREY = "#6b6b6b"
LABEL = 7.0
"""Size of the smallest text, in typographic points: what papers ask for."""
BEYOND = 0.03
"""Share of an axis of percentages by which it may go on below 0 and above 100, for half a marker."""
FONT = "DejaVu Sans"
"""Comes with Matplotlib, so that figures look the same everywhere; it has Latin, Greek and Cyrillic."""
FALLBACKS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "Arial Unicode MS",
    "PingFang SC",
    "Microsoft YaHei",
    "Malgun Gothic",
    "Nirmala UI",
    "Unifont",
)
"""Fonts of systems for the letters that `FONT` lacks; those that are installed are used, in this order."""
_LACKING = re.compile(r"Glyph (\d+) .* missing from")
RULES: Any = {
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
    "legend.fontsize": 7,
    "legend.handlelength": 1.8,
    "legend.columnspacing": 1.2,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,
    "svg.hashsalt": "pruneproof",
    "text.usetex": False,
    # Questions and answers may hold dollar signs, a pair of which would be read as a formula.
    "text.parse_math": False,
}


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib's defaults with this project's rules, whatever the user's own configuration says.

    Letters that no installed font has are told in one line.
    """
    with mpl.rc_context(), warnings.catch_warnings(record=True) as caught:
        mpl.rcdefaults()
        mpl.rcParams.update(RULES | {"font.family": list(families())})
        warnings.filterwarnings("always", _LACKING.pattern)
        yield
    lacking = {chr(int(found[1])) for one in caught if (found := _LACKING.match(str(one.message)))}
    for one in caught:
        if not _LACKING.match(str(one.message)):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    if lacking:
        log.warning(
            "no font for %s, which figures show as boxes: install one, such as Noto Sans CJK", " ".join(sorted(lacking))
        )


@cache
def families() -> tuple[str, ...]:
    """The fonts of figures: a letter is drawn in the first that has it."""
    return (FONT, *sorted(set(FALLBACKS) & set(get_font_names()), key=FALLBACKS.index))


def new_figure(height: float, sheet: Sheet = PAGE, tight: bool = False) -> Figure:
    """A figure of the sheet's width; `height` in inches; `tight` leaves hardly any room between panels."""
    layout: Any = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.0, hspace=0.0) if tight else "constrained"
    figure = Figure(figsize=(sheet.width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


EMPTY: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    "svg": {"Creator": None, "Date": None, "Format": None, "Type": None},
}
"""What would make the bytes depend on the day or on Matplotlib's version."""


def render(figure: Figure, kind: str) -> bytes:
    """The figure as `png`, `pdf`, `svg` or `webp`, without date or program name."""
    buffer = io.BytesIO()
    more: dict[str, Any] = {"pil_kwargs": {"quality": 80, "method": 6}} if kind == "webp" else {}
    dpi = PRINT_DPI if kind == "pdf" else DPI
    figure.savefig(buffer, format=kind, dpi=dpi, metadata=EMPTY.get(kind), **more)
    return compact(buffer.getvalue().decode()).encode() if kind == "svg" else buffer.getvalue()


def compact(svg: str) -> str:
    """An SVG of Matplotlib without its header, and with lengths to a hundredth of a point; scales, which are small,
    keep four digits."""
    svg = re.sub(r"<metadata>.*?</metadata>|<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"-?\d+\.\d{3,}(?![\d%])", lambda found: _short(float(found[0])), svg)
    return re.sub(r"\s*\n\s*", "\n", svg).strip() + "\n"


def _short(length: float) -> str:
    return f"{length:.2f}".rstrip("0").rstrip(".") if abs(length) >= 1 else f"{length:.4g}"


def save(figure: Figure, path: Path, kinds: Sequence[str]) -> None:
    """Write `path` with each of the endings."""
    settle(figure)  # the slow part, done once for all
    for kind in kinds:
        files.write_bytes(path.with_name(f"{path.name}.{kind}"), render(figure, kind))


def handle(method: Method, label: str, line: bool = True) -> Line2D:
    """A legend entry; without `line` only the marker."""
    dashes = method.line if line else "none"
    return Line2D([], [], color=method.colour, marker=method.marker, mfc=method.face, ls=dashes, label=label)


def kind_key(methods: Iterable[Method]) -> list[Line2D]:
    """Legend entries that say which colour is which kind."""
    present = {method.kind for method in methods}
    return [
        Line2D([], [], color=colour, marker="s", ls="none", markersize=5, label=KIND_NAMES.get(kind, kind))
        for kind, colour in COLOURS.items()
        if kind in present
    ]


def legend_above(figure: Figure, handles: Sequence[Line2D]) -> None:
    """One legend for the whole figure, above its panels, in as many columns as fit."""
    if handles:
        lines = legend_lines(handles, figure.get_figwidth())
        columns = -(-len(handles) // lines)
        figure.legend(handles=list(handles), loc="outside upper center", ncols=columns)


def legend_lines(handles: Sequence[Line2D], width: float) -> int:
    """How many lines `legend_above` needs on so many inches."""
    widest = max((text_width(str(entry.get_label())) for entry in handles), default=0.0)
    return -(-len(handles) // max(1, int((width - 0.1) / (widest + 0.45))))


def legend_height(handles: Sequence[Line2D], sheet: Sheet) -> float:
    """Inches that `legend_above` takes."""
    return 0.1 + 0.15 * legend_lines(handles, sheet.width) if handles else 0.0


def text_width(text: str, size: float = 7.0) -> float:
    """Inches that a line of text takes."""
    path = TextPath((0, 0), text, size=size, prop=FontProperties(family=families()))
    return float(path.get_extents().x1) / 72 if text.strip() else 0.0


def settle(figure: Figure) -> None:
    """Lay the figure out and keep it so: what is placed in points afterwards stays where it is."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def chance_line(axes: Axes, level: float) -> None:
    """A dotted line at the accuracy of a model that sees nothing; none where it is unknown."""
    if level == level:
        axes.axhline(level, color=GREY, lw=0.8, ls=(0, (1, 2)), zorder=0, gid="chance")


def percent_axis(axes: Axes, label: str = "", *, along: Literal["x", "y"] = "y", beyond: bool = False) -> None:
    """Label an axis that holds percentages, once everything is drawn; there are no ticks past 100, or below 0.

    Args:
        axes: with their data; what shares the axis follows.
        label: of the axis.
        along: which axis.
        beyond: whether a value may lie above 100; the axis then ends there only if none does.
    """
    axis = axes.yaxis if along == "y" else axes.xaxis
    shared = (axes.get_shared_y_axes() if along == "y" else axes.get_shared_x_axes()).get_siblings(axes)
    highest = max(getattr(one.dataLim, f"{along}1") for one in shared)
    end = math.inf if beyond and highest > 100 + 1e-9 else 100.0
    low, high = axis.get_view_interval()
    room = BEYOND * (min(high, end) - max(low, 0.0))
    axes.set(**{f"{along}lim": (max(low, -room), min(high, end + room))})
    axis.set_label_text(label)
    axis.set_major_locator(_Percents(end))
    axis.set_major_formatter(lambda value, _: f"{value:g}")


class _Percents(AutoLocator):
    """Round numbers from 0 to an end."""

    def __init__(self, end: float) -> None:
        super().__init__()
        self.end = end

    def tick_values(self, vmin: float, vmax: float) -> Any:
        ticks = np.asarray(super().tick_values(vmin, vmax))
        return ticks[(ticks >= 0) & (ticks <= self.end)]


def plain(name: str) -> str:
    """A perturbation's name for a reader: `jpeg_compression` -> `JPEG compression`."""
    text = name.replace("_", " ")
    return text.replace("jpeg", "JPEG").replace("ocr", "OCR") if text else text
