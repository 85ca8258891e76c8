"""What a method's file says of itself is looked at before anything runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pruneproof import pruning
from pruneproof.method_checks import door_problems, layer_problems

SOUND = """
from dataclasses import dataclass
from pruneproof.pruning.protocol import Selects
from pruneproof.settings import Frozen, Share

class Settings(Frozen):
    ratio: Share

@dataclass(frozen=True, slots=True)
class Mine(Selects):
    settings: Settings
    title, kind, door = "Mine", "diversity", "before_connector"

    def budget(self, count, layers):
        return (round(self.settings.ratio * count),) * layers

    def select(self, tokens, texts, rng):
        raise NotImplementedError

build = Mine
"""
METHODS = {"mine_25": {"method": "mine_to_check", "ratio": 0.25}}
BACKBONES = {"tiny": {"family": "llava", "checkpoint": "none"}}


def said(folder: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str) -> list[str]:
    assert before in SOUND
    (folder / "mine_to_check.py").write_text(SOUND.replace(before, after))
    monkeypatch.setattr(pruning, "__path__", [*pruning.__path__, str(folder)])
    monkeypatch.delitem(sys.modules, "pruneproof.pruning.mine_to_check", raising=False)
    assert list(layer_problems(METHODS, BACKBONES, folder)) == []
    return [problem.what for problem in door_problems(METHODS, BACKBONES)]


def test_a_sound_method_is_let_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(tmp_path, monkeypatch, "Mine", "Mine") == []


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ('"before_connector"', '"before_conector"', "`door` is 'before_conector'; allowed: input, tower"),
        ('"before_connector"', '"language"', "what derives from `Selects` acts at before_connector or after_connector"),
        ('"diversity"', '"spatial"', "`kind` is 'spatial'; allowed: full, control"),
        ('"Mine", ', '"", ', "`title` is ''"),
        ("* layers", "* (layers - 1)", "it must give 32 numbers from 1 to 256"),
        ("round(", "2 * round(4 * ", "it must give 32 numbers from 1 to 256"),
        ('title, kind, door = "Mine", "diversity",', 'kind, door = "diversity",', "mine_to_check.py cannot be built: "),
    ],
)
def test_what_cannot_be_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str, what: str
) -> None:
    (found,) = said(tmp_path, monkeypatch, before, after)
    assert what in found
    assert "mine_to_check.py" in found
    assert "\n" not in found
