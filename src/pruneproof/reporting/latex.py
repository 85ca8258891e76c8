"""Tables and figures as LaTeX, with booktabs."""

from __future__ import annotations

import re
from itertools import accumulate

from jinja2 import Environment, PackageLoader, StrictUndefined

from pruneproof.reporting.estimates import DASH, MINUS
from pruneproof.reporting.style import COLUMN
from pruneproof.reporting.table import Table

_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", MINUS: "$-$", DASH: "--", "<": r"\textless{}",
}  # fmt: skip


def escape(text: str) -> str:
    """Text with LaTeX's special characters escaped; `CHAIR_i` gets its index, and what is in backticks is code."""
    escaped = "".join(_ESCAPES.get(character, character) for character in text)
    indexed = re.sub(r"CHAIR\\_([is])\b", r"CHAIR$_\1$", escaped)
    return re.sub(r"`([^`]*)`", r"\\texttt{\1}", indexed).replace("`", r"\textasciigrave{}")


def cell(text: str) -> str:
    """A table's cell, its interval in small type."""
    value, found, interval = text.partition(" [")
    return rf"{escape(value)} {{\scriptsize [{escape(interval)}}}" if found else escape(text)


def latex_figure(name: str, title: str, caption: str) -> str:
    """A `figure` environment that shows the narrow form of a figure (needs graphicx).

    Args:
        name: of the figure, with its backbone's folder.
        title: printed bold.
        caption: the rest.
    """
    label = re.sub(r"[^a-z0-9]+", "-", name)
    return (
        _environment()
        .get_template("figure.tex.j2")
        .render(name=name, ending=COLUMN.ending, title=title, caption=caption, label=label)
    )


def latex_table(table: Table) -> str:
    """A `table` environment; one that is too wide is shrunk to the text (needs graphicx)."""
    ends = list(accumulate(columns for _, columns in table.spans))
    spans = [
        escape(text) if columns == 1 else rf"\multicolumn{{{columns}}}{{c}}{{{escape(text)}}}"
        for text, columns in table.spans
    ]
    rules = [
        rf"\cmidrule(lr){{{end - columns + 1}-{end}}}"
        for (text, columns), end in zip(table.spans, ends, strict=True)
        if text
    ]
    return _environment().get_template("table.tex.j2").render(table=table, spans=spans, rules=rules)


def _environment() -> Environment:
    # Braces and backslashes belong to LaTeX, so the templates' own marks are << >> and <% %>.
    environment = Environment(
        loader=PackageLoader("pruneproof.reporting"),
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["latex"] = escape
    environment.filters["cell"] = cell
    return environment
