"""The consensus score of a study, on answers that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pruneproof.records import CLEAN, Condition
from pruneproof.scoring.bootstrap import draw_images
from pruneproof.scoring.groups import MEAN
from pruneproof.scoring.measured import estimates
from pruneproof.scoring.rephrased import measure_consensus

OTHER = Condition("text", "typo_swap", 1)
CONDITIONS = (CLEAN, OTHER, *(Condition("text", "paraphrase_human", severity) for severity in (1, 2, 3)))
MARKS = np.array(
    [
        # all right in part, three of four, half, none, one rephrasing was not asked
        [1.0, 0.3, 1.0, 0.0, 1.0],
        [0.0, 0.0, 0.0, 1.0, 1.0],  # a typo is no rephrasing
        [0.3, 1.0, 1.0, 0.0, 1.0],
        [0.9, 1.0, 0.0, 0.0, np.nan],
        [1.0, 0.0, 0.0, 0.0, 1.0],
    ]
)
IMAGE = np.array([0, 0, 1, 2, 3])
DRAWS = draw_images(4, 50, np.random.default_rng(0))


def test_shares_of_subsets_answered_rightly_throughout():
    found = {m.name: (group, m) for group, m in measure_consensus(MARKS, CONDITIONS, IMAGE, DRAWS)}
    by_hand = {
        "robust/consensus_1": (1 + 3 / 4 + 2 / 4 + 0) / 4,
        "robust/consensus_2": (1 + 3 / 6 + 1 / 6 + 0) / 4,
        "robust/consensus_3": (1 + 1 / 4 + 0 + 0) / 4,
        "robust/consensus_4": (1 + 0 + 0 + 0) / 4,
    }
    assert found.keys() == by_hand.keys()
    for name, value in by_hand.items():
        group, measured = found[name]
        assert (group.family, group.perturbation, group.severity) == ("text", "paraphrase_human", MEAN)
        ((_, estimate),) = estimates(measured, [group], 0.95)
        assert estimate.value == pytest.approx(100 * value)
        assert estimate.n == 4
        assert estimate.low <= estimate.value <= estimate.high


def test_a_study_without_all_three_rephrasings_has_no_consensus():
    kept = [0, 1, 2, 4]
    conditions = [CONDITIONS[index] for index in kept]
    assert list(measure_consensus(MARKS[kept], conditions, IMAGE, DRAWS)) == []
