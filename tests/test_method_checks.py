"""What a method's file says of itself is looked at before anything runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pruneproof import pruning
from pruneproof.backbones import families, family_names
from pruneproof.method_checks import declared, door_problems, family_problems, layer_problems

SOUND = """
from dataclasses import dataclass
from pruneproof.pruning.protocol import Selects, Signals
from pruneproof.settings import Frozen, Share

class Settings(Frozen):
    ratio: Share

@dataclass(frozen=True, slots=True)
class Mine(Selects):
    settings: Settings
    title, kind, door = "Mine", "diversity", "before_connector"
    signals = Signals(keys=(-1,), received_attention=(-2,))

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
        ("* layers", "* (layers - 1)", "`budget(256, 32)` is (64, 64, "),
        ("round(", "2 * round(4 * ", "it must give 32 whole numbers from 1 to 256, one for each layer"),
        (",) * layers", ")", "`budget(256, 32)` is 64: it must give 32 whole numbers"),
        ("(round(", "(str(", "`budget(256, 32)` is ('64.0', "),
        ("round(", "float(", "`budget(256, 32)` is (64.0, "),
        ("(round(self.settings.ratio * count),) * layers", "'x' * layers", "`budget(256, 32)` is 'xxxxxxxxx"),
        ("(round(self.settings.ratio * count),) * layers", "{1, 2}", "`budget(256, 32)` is {1, 2}: "),
        ("=(-2,)", "=-2", "`signals` has received_attention=-2: give a tuple of layers, such as (-2,)"),
        ("=(-1,)", "=[-1]", "`signals` has keys=[-1]: give a tuple of layers"),
        ("=(-1,)", "=(-1.0,)", "`signals` has keys=(-1.0,): give a tuple of layers"),
        ("keys=(-1,)", "aligned=(True,)", "`signals` has aligned=(True,): give a tuple of layers"),
        ("keys=(-1,)", "text_tower='clip'", "`signals` has text_tower='clip': give one of 'matched', 'control'"),
        ("keys=(-1,)", "text_tower=['clip']", "`signals` has text_tower=['clip']: give one of"),
        ("keys=(-1,)", "patches=1", "`signals` has patches=1: give a bool"),
        ("keys=(-1,)", "weights=None", "`signals` has weights=None: give a str"),
        ("signals = Signals(keys=(-1,), received_attention=(-2,))", "signals = (-2,)", "`signals` is (-2,): give a"),
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


BARE = """
LACKING = {
    "cls_attention": "its vision tower has no class token",
    "aligned": "no CLIP was trained with its vision tower",
}
"""


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, str]]:
    """Backbones of a family whose tower is bare, and of one that has everything."""
    (tmp_path / "bare.py").write_text(BARE)
    monkeypatch.setattr(families, "__path__", [*families.__path__, str(tmp_path)])
    return {"naked": {"family": "bare"}, "tiny": {"family": "llava", "text_tower": "here"}}


@pytest.mark.parametrize(
    ("method", "signal", "why"),
    [
        ({"method": "fastervlm", "keep": 0.5}, "cls_attention", "its vision tower has no class token"),
        ({"method": "atp", "keep": 0.5}, "cls_attention", "its vision tower has no class token"),
        ({"method": "atp", "keep": 0.5, "text_tower": "control"}, "cls_attention", "its vision tower has no class"),
        ({"method": "cdpruner", "keep": 0.5}, "aligned", "no CLIP was trained with its vision tower"),
    ],
    ids=lambda value: value["method"] if isinstance(value, dict) else None,
)
def test_a_signal_that_a_family_lacks_is_one_line_that_says_what_to_take(
    bare: dict[str, dict[str, str]], method: dict[str, object], signal: str, why: str
) -> None:
    found = [problem for problem in door_problems({"it": method}, bare) if "control" not in problem.what]
    assert [problem.where for problem in found] == [("methods", "it")]
    what = found[0].what
    assert what.startswith(f"looks at `{signal}`, which naked does not have: {why}")
    assert "; take `atp_received`, which goes by the attention that tokens receive, or `random`; " in what
    assert what.endswith("give naked a list `methods` without it")
    assert "\n" not in what


@pytest.mark.parametrize("method", ["atp_received", "random", "divprune", "mmtok"])
def test_a_method_that_looks_at_what_there_is_is_let_through(bare: dict[str, dict[str, str]], method: str) -> None:
    assert list(door_problems({"it": {"method": method, "keep": 0.5}}, bare)) == []


def test_a_text_tower_is_named_where_there_is_a_clip_and_nowhere_else(bare: dict[str, dict[str, str]]) -> None:
    assert list(family_problems(bare)) == []
    (missing,) = family_problems({"tiny": {"family": "llava"}})
    assert missing.where == ("backbones", "tiny", "text_tower")
    assert missing.what.startswith("is missing: give the open_clip name of the text tower")
    (useless,) = family_problems({"naked": {"family": "bare", "text_tower": "ViT-L-14"}})
    assert useless.where == ("backbones", "naked", "text_tower")
    assert useless.what == "'ViT-L-14', but the vision tower of bare is not CLIP's and has none: leave it out"
    (other,) = family_problems({"naked": {"family": "bare", "control_text_tower": "ViT-L-14"}})
    assert other.where == ("backbones", "naked", "control_text_tower")
    assert list(family_problems({"a": 5, "b": {"family": ["x"]}, "c": {}})) == []


@pytest.mark.parametrize("family", [name for name in family_names() if declared(name).clipless])
def test_every_family_without_clip_refuses_what_needs_one_and_takes_the_rest(family: str) -> None:
    needing, others = ("atp", "visionzip", "trim"), ("atp_received", "random", "divprune", "mmtok", "uniform_grid")
    methods = {name: {"method": name, "keep": 0.5} for name in (*needing, *others)}
    found = list(door_problems(methods, {"it": {"family": family}}))
    assert [problem.where for problem in found] == [("methods", name) for name in needing]
    assert list(family_problems({"it": {"family": family}})) == []


def test_numbers_of_pixels_are_for_families_that_resize_by_them(bare: dict[str, dict[str, str]]) -> None:
    (useless,) = family_problems({"tiny": bare["tiny"] | {"pixels": [1, 2]}})
    assert useless.where == ("backbones", "tiny", "pixels")
    assert useless.what == "[1, 2], but llava reads pictures at sizes that its checkpoint gives: remove it"
    assert list(family_problems({"it": {"family": "qwen3_vl", "pixels": [1, 2]}})) == []
