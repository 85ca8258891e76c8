"""How consistently a method answers questions that people rephrased: the consensus score of VQA-Rephrasings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pruneproof.records import Condition
from pruneproof.scoring.consensus import WORDINGS, consensus
from pruneproof.scoring.groups import MEAN, Group
from pruneproof.scoring.measured import Measured, ratio_level
from pruneproof.scoring.statistics import Ratio, sum_by_image

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]

REPHRASED = "paraphrase_human"
"""The perturbation whose severities are the rephrasings of a question."""


def measure_consensus(
    marks: Floats, conditions: Sequence[Condition], image: Ints, draws: Floats
) -> Iterator[tuple[Group, Measured]]:
    """CS(k) of `consensus`, k = 1 to 4, over each question and its three rephrasings; nothing in a study without them.

    A question counts whose four wordings were all answered. The true answers are those of the question itself.

    Args:
        marks: (C, U) of each question, 0 to 1; more than 0 counts as right.
        conditions: (C) the first is the clean one.
        image: (U) index of each question's image.
        draws: (resamples, images) from `bootstrap.draw_images`.

    Yields:
        The group that the score belongs to, all severities of the rephrasings, and `robust/consensus_<k>` in percent.
    """
    wordings = np.array([0, *(i for i, c in enumerate(conditions) if c.perturbation == REPHRASED)])
    if len(wordings) < WORDINGS:
        return
    questions, images = marks.shape[1], draws.shape[1]
    asked = marks[wordings].reshape(1, -1)
    group = np.tile(np.arange(questions), len(wordings))
    for k in range(1, WORDINGS + 1):
        sums = [sum_by_image(values, image, images) for values in consensus(asked, group, k)]
        ratio = Ratio(*sums)
        counted = ratio.denominator.sum(-1).astype(int)
        measured = ratio_level(f"robust/consensus_{k}", ratio, counted, ratio.denominator > 0, draws)
        yield Group("text", REPHRASED, MEAN, np.array([0])), measured
