"""CSV files are opened in spreadsheets, which run what looks like a formula."""

from __future__ import annotations


def inert(text: str) -> str:
    """Text that a spreadsheet shows and does not run: an apostrophe goes before what it would take for a formula.

    Examples:
        >>> inert("=cmd()"), inert("a = b")
        ("'=cmd()", 'a = b')
    """
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
