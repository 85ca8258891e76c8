"""Which entries are compared: each method once, at a fair budget."""

from __future__ import annotations

from typing import Any

from pruneproof.scoring.entries import by_kind, of_one_budget, usable
from pruneproof.settings import MethodSettings

METHODS: dict[str, dict[str, Any]] = {
    "full": {"method": "full"},
    "random_40": {"method": "random", "keep": 0.4},
    "random_25": {"method": "random", "keep": 0.25},
    "atp_60": {"method": "atp", "keep": 0.6},
    "atp_25": {"method": "atp", "keep": 0.25},
    "atp_25_reversed": {"method": "atp", "keep": 0.25, "relevance_sign": -1},
    "atp_25_attention": {"method": "atp", "keep": 0.25, "alpha": 0.0},
    "faster_25": {"method": "fastervlm", "keep": 0.25},
    "faster_25_clean": {"method": "fastervlm", "keep": 0.25, "rank_from": "clean"},
    "fastv": {"method": "fastv", "keep": 0.25},
}
CHOSEN = {name: MethodSettings.model_validate(own) for name, own in METHODS.items()}
TOKENS = {"random_40": 102.0, "atp_60": 154.0, "fastv": 160.0, "faster_25": 66.0}
TOKENS |= {name: 64.0 for name in CHOSEN if name not in TOKENS}


def test_the_full_model_and_what_looks_at_clean_pictures_cannot_be_taken() -> None:
    assert usable(CHOSEN, "full") == [name for name in CHOSEN if name not in ("full", "faster_25_clean")]


def test_the_largest_set_of_one_budget() -> None:
    names = usable(CHOSEN, "full")
    assert of_one_budget(names, TOKENS) == ["random_25", "atp_25", "atp_25_reversed", "atp_25_attention", "faster_25"]
    assert of_one_budget([], TOKENS) == []


def test_every_method_counts_once_with_the_entry_nearest_to_that_budget() -> None:
    assert by_kind(usable(CHOSEN, "full"), CHOSEN, TOKENS) == {
        "control": ["random_25"],
        "text-guided": ["atp_25"],
        "attention": ["atp_25_attention", "faster_25"],
        "language": ["fastv"],
    }
    assert by_kind([], CHOSEN, TOKENS) == {}
