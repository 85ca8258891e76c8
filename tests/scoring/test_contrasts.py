import numpy as np
import pytest

from pruneproof.scoring.contrasts import pairs, with_holm
from pruneproof.scoring.tables import ContrastRow
from pruneproof.settings import MethodSettings

METHODS = {
    "atp_25": {"method": "atp", "keep": 0.25},
    "full": {"method": "full"},
    "random_25": {"method": "random", "keep": 0.25},
    "random_25_again": {"method": "random", "keep": 0.25},
    "atp_10": {"method": "atp", "keep": 0.1},
}


def test_pairs_are_the_baseline_and_random_pruning_to_as_many_tokens() -> None:
    methods = {name: MethodSettings.model_validate(options) for name, options in METHODS.items()}
    assert pairs(methods, "full", 4) == [
        ("atp_25", "full"),
        ("atp_25", "random_25"),
        ("random_25", "full"),
        ("random_25_again", "full"),
        ("atp_10", "full"),
    ]
    assert ("atp_25", "random_25") in pairs(methods, "random_25", 4)
    assert len(pairs(methods, "random_25", 4)) == 4


def test_a_method_inside_the_language_model_is_compared_at_equal_means_over_layers() -> None:
    entries = {
        "full": {"method": "full"},
        "random_50": {"method": "random", "keep": 0.5},
        "random_75": {"method": "random", "keep": 0.75},
        "fastv": {"method": "fastv", "keep": 0.5, "layer": 12},
    }
    methods = {name: MethodSettings.model_validate(options) for name, options in entries.items()}
    assert [other for name, other in pairs(methods, "full", 4) if name == "fastv"] == ["full", "random_75"]
    assert [other for name, other in pairs(methods, "full", 32) if name == "fastv"] == ["full"]


def test_a_method_is_also_compared_with_itself_looking_at_clean_pictures() -> None:
    """Whether params.yaml writes a default down makes no difference; a twin of other options is none."""
    entries = {
        "full": {"method": "full"},
        "random_25": {"method": "random", "keep": 0.25},
        "atp_25": {"method": "atp", "keep": 0.25},
        "atp_25_reversed": {"method": "atp", "keep": 0.25, "relevance_sign": -1},
        "atp_25_clean": {"method": "atp", "keep": 0.25, "alpha": 0.5, "rank_from": "clean"},
        "atp_10_clean": {"method": "atp", "keep": 0.1, "rank_from": "clean"},
    }
    methods = {name: MethodSettings.model_validate(options) for name, options in entries.items()}
    found = [pair for pair in pairs(methods, "full", 4) if pair[1] not in ("full", "random_25")]
    assert found == [("atp_25", "atp_25_clean")]


def test_holm_runs_over_the_primary_rows_of_all_backbones() -> None:
    def row(backbone: str, p: float, primary: bool) -> ContrastRow:
        where = (backbone, "atp", "full", "image", "mean", "mean", "accuracy/all")
        return ContrastRow(*where, 0.0, 0.0, 0.0, p, np.nan, primary)

    found = with_holm([row("a", 0.01, True), row("a", 0.001, False), row("b", 0.04, True)])
    assert [r.p_holm for r in found] == pytest.approx([0.02, np.nan, 0.04], nan_ok=True)
    assert [r.p for r in found] == [0.01, 0.001, 0.04]
