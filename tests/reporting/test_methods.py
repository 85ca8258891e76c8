from __future__ import annotations

from pruneproof.reporting.methods import describe
from pruneproof.settings import MethodSettings


def test_entries_are_named_by_method_keep_and_variant() -> None:
    entries = {
        "full": {"method": "full"},
        "atp_25": {"method": "atp", "keep": 0.25},
        "atp_25_reversed": {"method": "atp", "keep": 0.25, "relevance_sign": -1},
        "fastv_10": {"method": "fastv", "keep": 0.1},
        "brand_new_12": {"method": "brand_new", "keep": 0.125},
    }
    methods = describe({name: MethodSettings.model_validate(entry) for name, entry in entries.items()})
    assert [m.label for m in methods] == ["Full", "ATP 25%", "ATP 25% (reversed)", "FastV 10%", "Brand new 12.5%"]


def test_every_name_has_its_own_look() -> None:
    entries = {"full": {"method": "full"}} | {
        f"{base}_{keep}": {"method": base, "keep": keep / 100}
        for base in ("random", "atp", "fastv", "tome", "divprune")
        for keep in (25, 10)
    }
    methods = describe({name: MethodSettings.model_validate(entry) for name, entry in entries.items()})
    looks = {(method.colour, method.marker) for method in methods}
    assert len(looks) == len({method.name for method in methods}) == 6
