"""Discovery of modules: names without imports, duplicates refused, helpful errors."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pruneproof import registry
from pruneproof.errors import PruneProofError


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty package `drawer` on the path; its modules are forgotten afterwards."""
    folder = tmp_path / "drawer"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name == "drawer" or name.startswith("drawer.")]:
        del sys.modules[name]


def test_lists_public_modules_in_order_without_importing_them(package: Path) -> None:
    for name in ("spoon", "fork", "_tray", "stage"):
        (package / f"{name}.py").write_text("raise RuntimeError('imported')\n")
    assert registry.module_names("drawer") == ("fork", "spoon")


def test_loads_the_named_module(package: Path) -> None:
    (package / "fork.py").write_text("TINES = 4\n")
    assert registry.load_module("drawer", "fork", "tool").TINES == 4


def test_an_unknown_name_is_answered_with_the_closest_match_first(package: Path) -> None:
    for name in ("spoon", "fork", "axe"):
        (package / f"{name}.py").touch()
    with pytest.raises(
        PruneProofError, match=r"unknown tool 'spon' \(did you mean 'spoon'\?\); known: spoon, axe, fork"
    ):
        registry.load_module("drawer", "spon", "tool")
    with pytest.raises(PruneProofError, match=r"unknown tool 'stage'; known: axe, fork, spoon"):
        registry.load_module("drawer", "stage", "tool")


def test_a_missing_distribution_is_named(package: Path) -> None:
    (package / "fork.py").write_text("import a_distribution_that_is_not_there\n")
    where = re.escape(f"({package / 'fork.py'}, line 1)")
    with pytest.raises(
        PruneProofError, match=f"tool 'fork' needs the module 'a_distribution_that_is_not_there' {where}"
    ):
        registry.load_module("drawer", "fork", "tool")


def test_a_member_that_lacks_what_it_must_define_is_named(package: Path) -> None:
    (package / "fork.py").write_text("Options = 1\n")
    assert registry.load_module("drawer", "fork", "tool", needs=("Options",)).Options == 1
    with pytest.raises(PruneProofError, match=r"tool 'fork' \(.*fork\.py\) does not define build: see drawer"):
        registry.load_module("drawer", "fork", "tool", needs=("Options", "build"))


def test_mappings_are_merged_and_cannot_be_changed(package: Path) -> None:
    (package / "b.py").write_text("TOOLS = {'b1': 1}\n")
    (package / "a.py").write_text("TOOLS = {'a2': 2, 'a1': 1}\n")
    merged = registry.merge("drawer", "TOOLS", "tool")
    assert list(merged.items()) == [("a2", 2), ("a1", 1), ("b1", 1)]
    with pytest.raises(TypeError):
        merged["c"] = 3  # type: ignore[index]


def test_duplicates_are_refused_with_both_modules_named(package: Path) -> None:
    (package / "a.py").write_text("TOOLS = {'x': 1}\n")
    (package / "b.py").write_text("TOOLS = {'x': 2}\n")
    with pytest.raises(PruneProofError, match=r"tool 'x' is defined in drawer\.a and again in drawer\.b"):
        registry.merge("drawer", "TOOLS", "tool")


def test_a_module_without_the_mapping_is_refused(package: Path) -> None:
    (package / "a.py").write_text("TOLS = {}\n")
    with pytest.raises(PruneProofError, match=r"drawer\.a defines no mapping TOOLS"):
        registry.merge("drawer", "TOOLS", "tool")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"TINES = 4\ndef x(:\n", r"drawer/fork\.py, line 2: invalid syntax"),
        (b"TINES = 4\0\n", r"drawer/fork\.py.*: source code .* null bytes"),
        (b"\xff\xfe", r"drawer/fork\.py, line 1: .*utf-8"),
    ],
)
def test_a_member_that_is_not_python_is_named_with_its_line(package: Path, source: bytes, said: str) -> None:
    (package / "fork.py").write_bytes(source)
    with pytest.raises(PruneProofError, match=said):
        registry.load_module("drawer", "fork", "tool")
    with pytest.raises(PruneProofError, match=said):
        registry.constants("drawer", "fork")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("from pathlib import nothing_of_the_kind", "ImportError: cannot import name 'nothing_of_the_kind'"),
        ("import drawer.nothing", "ModuleNotFoundError: No module named 'drawer.nothing'"),
        ("TINES = many", "NameError: name 'many' is not defined"),
        ("int('four')", "ValueError: invalid literal"),
        ("import json; json.loads('{')", "JSONDecodeError: Expecting"),
    ],
)
def test_a_member_that_fails_while_it_is_imported_is_named_with_its_line(package: Path, source: str, why: str) -> None:
    (package / "fork.py").write_text(f"TINES = 4\n{source}\n")
    where = re.escape(f"tool 'fork' cannot be imported: {package / 'fork.py'}, line 2: {why}")
    with pytest.raises(PruneProofError, match=f"{where}.*: correct it$"):
        registry.load_module("drawer", "fork", "tool")


def test_what_a_member_says_to_the_user_itself_stays_as_it_is(package: Path) -> None:
    (package / "fork.py").write_text("from pruneproof.errors import PruneProofError\nraise PruneProofError('lay it')\n")
    with pytest.raises(PruneProofError, match=r"^lay it$"):
        registry.load_module("drawer", "fork", "tool")
