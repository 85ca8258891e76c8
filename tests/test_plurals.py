"""A number with its noun, and that no message leaves the choice to the reader."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from pruneproof.plurals import number_of

SOURCE = Path(__file__).parents[1] / "src" / "pruneproof"
EITHER = re.compile(r"[a-z]{2,}\((?:s|es)\)")
"""`backbone(s)`, not the `f(s)` of a formula."""


@pytest.mark.parametrize(
    ("count", "noun", "said"),
    [
        (1, "backbone", "1 backbone"),
        (0, "backbone", "0 backbones"),
        (2, "image condition", "2 image conditions"),
        (3, "process", "3 processes"),
        (1, "process", "1 process"),
        (2, "batch", "2 batches"),
        (2, "query", "2 queries"),
        (2, "way", "2 ways"),
    ],
)
def test_a_noun_follows_its_number(count: int, noun: str, said: str) -> None:
    assert number_of(count, noun) == said


def test_no_text_leaves_the_number_open() -> None:
    texts = [
        (str(path.relative_to(SOURCE)), node.value)
        for path in SOURCE.rglob("*.py")
        if "(s)" in (code := path.read_text(encoding="utf-8")) or "(es)" in code
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    texts += [(path.name, path.read_text(encoding="utf-8")) for path in SOURCE.rglob("*.j2")]
    assert [(where, text) for where, text in texts if EITHER.search(text)] == []
