from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from pruneproof import cli, reference, registry
from pruneproof.perturbations import images, text
from pruneproof.settings import Frozen

PAGE = Path(__file__).resolve().parents[1] / "docs/reference.md"


class Below(Frozen):
    """Of a model that another one extends."""

    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """A share,
    over two lines."""


class Above(Below):
    """What is asked."""

    most: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    way: Literal["a", "b"]
    """One of two."""
    seen: tuple[Literal[1, 2], ...] = (1,)


def test_a_setting_has_its_values_default_and_meaning() -> None:
    assert list(reference._table(Above))[2:] == [
        "| `share` | number above 0, at most 1 | `0.5` | A share, over two lines. |",
        "| `most` | whole number at least 1, at most 1,000,000 or null | `null` |  |",
        '| `way` | `"a"`, `"b"` | must be given | One of two. |',
        "| `seen` | list of `1`, `2` | `[1]` |  |",
        "",
    ]


def test_the_committed_page_is_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["reference"]) == 0
    printed = capsys.readouterr().out
    assert printed == PAGE.read_text(encoding="utf-8"), "run `python -m pruneproof reference > docs/reference.md`"


def test_every_name_is_on_the_page() -> None:
    page = reference.page()
    packages = ("pruning", "backbones.families", "benchmarks")
    names = [name for package in packages for name in registry.module_names(f"pruneproof.{package}")]
    assert [name for name in [*names, *images.registered(), *text.registered()] if f"`{name}`" not in page] == []
