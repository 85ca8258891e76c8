"""Metrics of existence questions that need the margin between yes and no, under every condition.

Different questions count once, whatever POPE split asks them. None of them depends on the words of an answer, so that a
model that degenerates does not count as one that affirms; a margin of exactly 0 is half a yes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pruneproof.scoring import sensitivity
from pruneproof.scoring.measured import Measured, mean_level
from pruneproof.scoring.questions import Questions
from pruneproof.scoring.statistics import mean_ratio, sum_by_image

Floats = NDArray[np.float64]

MATCHED = "hallucination/matched"
"""Share of absent objects affirmed once the threshold is moved to the full model's clean recall."""
DECIMALS = 2
"""Of percentages that rest on logits."""


def measure_existence(margin: Floats, full: Floats, questions: Questions, draws: Floats) -> Iterator[Measured]:
    """Area under the ROC curve, matched hallucination rate, d' and c, Brier score and calibration error.

    Args:
        margin: (C, U) logit of yes minus logit of no by unit; nan where not asked.
        full: (U) whether the full model was right about each unit on clean input: on present objects, its recall.
        questions: the benchmark.
        draws: (resamples, images) from `bootstrap.draw_images`.
    """
    first = questions.first
    chosen = questions.existence[first]
    margin, full = margin[:, chosen], full[chosen]
    if not np.isfinite(margin).any():
        return
    present, image = questions.truth_yes[first[chosen]], questions.image[first[chosen]]
    images = draws.shape[1]
    weights = np.vstack([np.ones(images), draws])
    asked = np.isfinite(margin)
    n = asked.sum(-1)
    by_image = sum_by_image(asked.astype(float), image, images) > 0

    def replicated(name: str, values: Floats, scale: float) -> Measured:
        """From (C, 1 + resamples), the observed sample first."""
        decimals = DECIMALS if scale == 100.0 else DECIMALS + 1
        return Measured(name, values[:, 0], n, by_image, replicates=values[:, 1:], scale=scale, decimals=decimals)

    area, matched = np.full((2, len(margin), len(weights)), np.nan)
    for row, here in enumerate(asked):
        curve = sensitivity.roc(margin[row, here], present[here], image[here], images)
        area[row] = curve.area(weights)
        found = mean_ratio(full[None, here & present], image[here & present], images)
        matched[row] = curve.false_alarms(weights, found.replicates(weights)[0])
    yield replicated("sensitivity/auc", area, 100.0)
    yield replicated(MATCHED, matched, 100.0)

    says_yes = np.where(asked, np.heaviside(margin, 0.5), 0.0)
    counts = [
        sum_by_image(np.where(asked & truth, values, 0.0), image, images) @ weights.T
        for truth in (present, ~present)
        for values in (says_yes, asked.astype(float))
    ]
    detection = sensitivity.signal_detection(*counts)
    both = (counts[1] > 0) & (counts[3] > 0)
    yield replicated("sensitivity/d_prime", np.where(both, detection.d_prime, np.nan), 1.0)
    yield replicated("sensitivity/criterion", np.where(both, detection.criterion, np.nan), 1.0)

    score = mean_level("calibration/brier", sensitivity.brier(margin, present), image, draws)
    yield Measured(score.name, score.value, n, score.asked, replicates=score.replicates, decimals=DECIMALS)
    errors = [sensitivity.calibration_error(m[here], present[here]) for m, here in zip(margin, asked, strict=True)]
    yield Measured("calibration/ece", np.array(errors), n, decimals=DECIMALS)
