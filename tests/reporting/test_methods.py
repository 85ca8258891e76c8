from __future__ import annotations

from pathlib import Path

import pytest

from pruneproof import pruning
from pruneproof.reporting.methods import adaptation_note, describe
from pruneproof.settings import MethodSettings

STRANGER = """
from dataclasses import dataclass
from pruneproof.pruning.protocol import Selects
from pruneproof.settings import Frozen, Share

class Settings(Frozen):
    ratio: Share

@dataclass(frozen=True, slots=True)
class BrandNew(Selects):
    settings: Settings
    title, kind, door = "BRAND-new", "diversity", "after_connector"

    def budget(self, count, layers):
        return (round(self.settings.ratio * count),) * layers

    def select(self, tokens, texts, rng):
        raise NotImplementedError

build = BrandNew
"""


def test_entries_are_named_by_method_share_and_variant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "brand_new.py").write_text(STRANGER)
    monkeypatch.setattr(pruning, "__path__", [*pruning.__path__, str(tmp_path)])
    entries = {
        "full": {"method": "full"},
        "atp_25": {"method": "atp", "keep": 0.25},
        "atp_25_reversed": {"method": "atp", "keep": 0.25, "relevance_sign": -1},
        "fastv_10": {"method": "fastv", "keep": 0.1},
        "brand_new_12": {"method": "brand_new", "ratio": 0.125},
        "random_3": {"method": "random", "keep": 1 / 3},
    }
    methods = describe({name: MethodSettings.model_validate(entry) for name, entry in entries.items()})
    labels = ["Full", "Random 33.3%", "BRAND-new 12.5%", "ATP 25%", "ATP 25% (reversed)", "FastV 10%"]
    assert [m.label for m in methods] == labels
    assert [m.kind for m in methods] == ["full", "control", "diversity", "text-guided", "text-guided", "language"]


def test_every_name_has_its_own_look() -> None:
    entries = {"full": {"method": "full"}} | {
        f"{base}_{keep}": {"method": base, "keep": keep / 100}
        for base in ("random", "atp", "fastv", "tome", "divprune")
        for keep in (25, 10)
    }
    methods = describe({name: MethodSettings.model_validate(entry) for name, entry in entries.items()})
    looks = {(method.colour, method.marker) for method in methods}
    assert len(looks) == len({method.name for method in methods}) == 6


def test_what_is_not_the_published_method_is_told_once_under_a_table() -> None:
    entries = {"full": {"method": "full"}, "atp_25": {"method": "atp", "keep": 0.25}}
    entries |= {f"own_{keep}": {"method": "atp_received", "keep": keep / 100} for keep in (25, 60)}
    described = describe({name: MethodSettings.model_validate(entry) for name, entry in entries.items()})
    note = adaptation_note(described)
    assert note.startswith(" ATP adapted: an adaptation of this project, not the paper's method")
    assert note.count("adaptation") == 1
    assert adaptation_note(described[:1]) == ""
