"""The model card says what was missed, and by how much."""

from __future__ import annotations

from pruneproof.training.card import TrainingReport, card, unmet
from pruneproof.training.focus import Focus
from pruneproof.training.settings import TrainingSettings
from pruneproof.training.students import blip2, llava
from pruneproof.training.variety import VARIATIONS

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


def test_what_the_tower_saw_where_it_looks_and_what_is_left_of_it_stand_on_the_card() -> None:
    settings = TrainingSettings.model_validate({"tower": {"consistency_steps": 5}})
    seen = TrainingReport(
        "builtin_llava", {}, "CPU", (1, 1), {}, {}, {},
        {"taught": Focus(0.1, 0.2, 60, 30, 35), "finished": Focus(0.11, 0.21, 61, 31, 35)},
    )  # fmt: skip
    measured = {
        "images": 9, "questions": 90, "chance": 60.0, "clean": 95.0, "kinds": {"count": 70.0},
        "accuracies": {"fog": {"1": 90.0, "3": 80.0}, "snow": {"1": 80.0, "3": 60.0}},
        "retention": {"fog": {"1": 85.7, "3": 57.1}, "snow": {"1": 57.1, "3": 0.0}},
    }  # fmt: skip
    text = card(settings, seen, llava.ABOUT, measured)
    for title in (variation.title for variation in VARIATIONS):
        assert f"| {title} |" in text
    assert "distillation of features, not contrastive training" in text
    assert "| questions more similar to the background, % | 60 | 61 |" in text
    assert "severity 1  ################################## " in text, "85% of forty characters"
    assert "| **mean** | **71** | **29** |" in text
    plain = card(TrainingSettings(), report(), llava.ABOUT)
    assert "haze" not in plain
    assert "Retention" not in plain
