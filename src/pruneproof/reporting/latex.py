"""Tables as LaTeX, with booktabs."""

from __future__ import annotations

import re
from itertools import accumulate

from jinja2 import Environment, PackageLoader, StrictUndefined

from pruneproof.reporting.estimates import DASH, MINUS
from pruneproof.reporting.table import Table

_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", MINUS: "$-$", DASH: "--", "<": r"\textless{}",
}  # fmt: skip


def escape(text: str) -> str:
    """Text with LaTeX's special characters escaped; `CHAIR_i` gets its index."""
    escaped = "".join(_ESCAPES.get(character, character) for character in text)
    return re.sub(r"CHAIR\\_([is])\b", r"CHAIR$_\1$", escaped)


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
    # Braces and backslashes belong to LaTeX, so the template's own marks are << >> and <% %>.
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
    return environment.get_template("table.tex.j2").render(table=table, spans=spans, rules=rules)
