import numpy as np

from pruneproof.records import CLEAN, Condition
from pruneproof.scoring.groups import groups_of, live_conditions, with_live

CONDITIONS = (
    CLEAN,
    Condition("image", "fog", 1),
    Condition("image", "fog", 3),
    Condition("image", "snow", 1),
    Condition("text", "typo", 1),
)


def test_groups_are_conditions_then_perturbations_then_families() -> None:
    found = [(g.family, g.perturbation, g.severity, g.members.tolist()) for g in groups_of(CONDITIONS)]
    assert found == [
        ("clean", "clean", "0", [0]),
        ("image", "fog", "1", [1]),
        ("image", "fog", "3", [2]),
        ("image", "snow", "1", [3]),
        ("text", "typo", "1", [4]),
        ("image", "fog", "mean", [1, 2]),
        ("image", "snow", "mean", [3]),
        ("text", "typo", "mean", [4]),
        ("image", "mean", "mean", [1, 2, 3]),  # no means by severity: snow lacks severity 3
        ("text", "mean", "1", [4]),
        ("text", "mean", "mean", [4]),
    ]


def test_family_at_one_severity_exists_if_its_perturbations_share_their_severities() -> None:
    conditions = [Condition("image", name, severity) for name in ("fog", "snow") for severity in (1, 5)]
    found = [(g.severity, g.members.tolist()) for g in groups_of(conditions) if g.perturbation == "mean"]
    assert found == [("1", [0, 2]), ("5", [1, 3]), ("mean", [0, 1, 2, 3])]


def test_dialogues_have_no_family_mean() -> None:
    dialogues = [Condition("dialogue", f"dialogue_{chosen}", turn) for chosen in ("first", "each") for turn in (1, 2)]
    found = [(g.perturbation, g.severity, g.members.tolist()) for g in groups_of([CLEAN, *dialogues])]
    assert found[5:] == [("dialogue_first", "mean", [1, 2]), ("dialogue_each", "mean", [3, 4])]


def test_live_means_leave_out_what_the_full_model_does_not_survive() -> None:
    kept = np.array([np.nan, 0.9, 0.19, 0.2, np.nan])
    live = live_conditions(CONDITIONS, kept)
    assert live.tolist() == [True, True, False, True, False]
    found = [(g.family, g.severity, g.members.tolist()) for g in with_live(groups_of(CONDITIONS), live)]
    assert found[len(groups_of(CONDITIONS)) :] == [("image", "mean", [1, 3])]  # the text family has none left
