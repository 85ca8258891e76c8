from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import pytest

from pruneproof.reporting import style


@pytest.fixture(autouse=True)
def _fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(style, "get_font_names", lambda: ["DejaVu Sans", "Unifont", "Noto Sans CJK SC", "Comic Sans"])
    style.families.cache_clear()
    yield
    style.families.cache_clear()


def test_letters_that_no_font_has_are_told_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(style, "get_font_names", list)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with style.styled():
            for title in ("\N{CJK UNIFIED IDEOGRAPH-4E2D}\N{CJK UNIFIED IDEOGRAPH-6587}", "a"):
                figure = style.new_figure(1.0)
                figure.suptitle(title)
                style.save(figure, tmp_path / "figure", ("png", "pdf"))
    [told] = caplog.messages
    assert told.startswith("no font for \N{CJK UNIFIED IDEOGRAPH-4E2D} \N{CJK UNIFIED IDEOGRAPH-6587}, which")


def test_other_warnings_are_passed_on() -> None:
    with pytest.warns(UserWarning, match="^another$"), style.styled():
        warnings.warn("another", stacklevel=1)


def test_installed_fonts_stand_in_after_the_own_one() -> None:
    assert style.families() == ("DejaVu Sans", "Noto Sans CJK SC", "Unifont")
    with style.styled():
        assert mpl.rcParams["font.family"] == list(style.families())
