from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pruneproof.answering import sources
from pruneproof.answering.sources import closure, syntax

ATP = "pruneproof.pruning.atp"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package that tests may change."""
    home = tmp_path / "pruneproof"
    shutil.copytree(sources.HOME, home, ignore=shutil.ignore_patterns("__pycache__", "training", "scenes"))
    monkeypatch.setattr(sources, "HOME", home)
    return home


@pytest.mark.parametrize(
    "statement",
    [
        "from pruneproof.pruning._shared import x",
        "from pruneproof.pruning import _shared",
        "import pruneproof.pruning._shared",
        "import pruneproof.pruning._shared as other",
        "from ._shared import x",
        "from . import _shared",
        "from ..pruning._shared import x",
        "def f():\n    from . import _shared",
        "import importlib\nx = importlib.import_module('pruneproof.pruning._shared')",
    ],
)
def test_whatever_way_a_module_is_imported_it_counts(home: Path, statement: str) -> None:
    (home / "pruning/_shared.py").write_text("x = 1\n")
    assert "pruneproof.pruning._shared" not in closure([ATP])
    (home / "pruning/atp.py").write_text(f"{statement}\n")
    assert closure([ATP])["pruneproof.pruning._shared"] == home / "pruning/_shared.py"
    assert "pruneproof.pruning._shared" not in closure(["pruneproof.pruning.random"])


def test_imports_are_followed_and_packages_run_too(home: Path) -> None:
    (home / "pruning/_one.py").write_text("from . import _two\n")
    (home / "pruning/_two.py").write_text("from pruneproof import seeds\n")
    (home / "pruning/atp.py").write_text("from ._one import x\n")
    found = closure([ATP])
    assert {"pruneproof", "pruneproof.pruning", ATP, "pruneproof.pruning._two", "pruneproof.seeds"} <= set(found)
    assert "pruneproof.seeds" not in closure([ATP], without={"pruneproof.pruning._one"})


def test_imports_for_types_alone_never_run(home: Path) -> None:
    (home / "pruning/_shared.py").write_text("x = 1\n")
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import _shared\n"
    (home / "pruning/atp.py").write_text(text)
    assert "pruneproof.pruning._shared" not in closure([ATP])
    (home / "pruning/atp.py").write_text(text + "else:\n    from . import _shared\n")
    assert "pruneproof.pruning._shared" in closure([ATP])


BEFORE = '''"""A module."""

X = 1
"""What X is."""


class A:
    """A class."""

    def f(self, y):
        """A method."""
        # A comment.
        return y + X
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A module."""', '"""Another text."""'),
        ('"""A module."""\n', ""),
        ('"""What X is."""', ""),
        ("A class", "B class"),
        ('        """A method."""\n', ""),
        ("# A comment.", "# Another."),
        ("y + X", "(y  +  X)"),
    ],
)
def test_comments_docstrings_and_layout_are_not_syntax(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(BEFORE)
    before = syntax(path)
    path.write_text(BEFORE.replace(old, new))
    assert path.read_text() != BEFORE
    assert syntax(path) == before


@pytest.mark.parametrize(("old", "new"), [("X = 1", "X = 2"), ("y + X", "y - X"), ("y + X", "'y'"), ("A:", "B:")])
def test_what_does_something_is_syntax(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(BEFORE)
    before = syntax(path)
    path.write_text(BEFORE.replace(old, new))
    assert syntax(path) != before
