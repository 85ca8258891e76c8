"""The model card says what was missed, and by how much."""

from __future__ import annotations

from pruneproof.backbones.builtin.card import TrainingReport, card, unmet
from pruneproof.backbones.builtin.settings import TrainingSettings
from pruneproof.backbones.builtin.students import blip2, llava

DEMANDS = llava.ABOUT.demands


def report(**known: float) -> TrainingReport:
    scores = dict.fromkeys(DEMANDS, 99.0) | known
    return TrainingReport(
        "builtin_llava", {"language": 60.0}, "CPU", (12.0, 13.0), scores, dict.fromkeys(scores, 98.0), {"projector": 1}
    )


def test_a_model_that_meets_every_demand_has_nothing_to_say() -> None:
    assert unmet(report(), DEMANDS) == []


def test_every_shortfall_is_named_with_its_size() -> None:
    found = unmet(report(count=51.5, colour=90.0), DEMANDS)
    assert found == [
        "colour: 90.0% of the 95% asked for, 5.0 points short",
        "count: 51.5% of the 60% asked for, 8.5 points short",
    ]


def test_a_phrasing_gap_is_a_shortfall_too() -> None:
    gap = TrainingReport(
        "builtin_llava", {}, "CPU", (0, 0), dict.fromkeys(DEMANDS, 99.0), dict.fromkeys(DEMANDS, 95.0), {}
    )
    assert len(unmet(gap, DEMANDS)) == len(DEMANDS)
    assert "held-out phrasings lose 4.0 points" in unmet(gap, DEMANDS)[0]


def test_the_card_holds_aids_scores_and_shortfalls() -> None:
    text = card(TrainingSettings(), report(count=40.0), llava.ABOUT)
    for part in (
        "whitening",
        "alignment",
        "| count | 40.0 | 98.0 |",
        "20.0 points short",
        "no visual token was dropped",
    ):
        assert part in text


def test_a_model_with_the_tower_of_another_says_so_and_claims_no_aids_of_it() -> None:
    text = card(TrainingSettings(family="blip2", tower_from="builtin_llava"), report(), blip2.ABOUT)
    assert "text tower are those of `builtin_llava`" in text
    assert "tower_windows" not in text
    assert "Windows of 6 x 6" not in text
