"""Do intervals hold what they say with few images? Questions on one image are simulated to share its difficulty.

Every round draws new images, so the truth is what a model does on the population of images, not on those drawn.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from pruneproof.scoring.cluster_t import standard_error, t_interval, t_test
from pruneproof.scoring.statistics import Ratio, holm

QUESTIONS = 10
BACKBONES = 3
METHODS = 2
FAMILIES = 2
CONTRASTS = BACKBONES * METHODS * FAMILIES
"""As many primary contrasts as the default study has."""
CONDITIONS = 3
LEVELS = {"middling": (0.80, 0.65), "near the ceiling": (0.95, 0.88)}
"""Clean and perturbed accuracy of every method: no method differs from the full one, so all true differences are 0."""


def differences(
    rng: np.random.Generator, rounds: int, images: int, icc: float, levels: tuple[float, float]
) -> np.ndarray:
    """Differences in drops between methods and the full model of their backbone, as sums by image over 10 questions.

    An answer is right where a normal variable lies below a threshold. A share `icc` of its variance is the image's,
    half of that for all models and half for a model and condition alone; 0.3 is the question's, shared by all; the rest
    is noise.

    Returns:
        (rounds, contrasts, images) sums over questions of the mean over conditions.
    """

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, dtype=np.float32)

    image, question = normal(rounds, images, 1), normal(rounds, images, QUESTIONS)

    def correct(level: float) -> np.ndarray:
        shared = np.sqrt(icc / 2) * (image + normal(rounds, images, 1)) + np.sqrt(0.3) * question
        latent = shared + np.sqrt(0.7 - icc) * normal(rounds, images, QUESTIONS)
        return (latent < norm.ppf(level)).sum(-1).astype(np.float64)

    def drops() -> np.ndarray:
        clean = correct(levels[0])
        perturbed = [sum(correct(levels[1]) for _ in range(CONDITIONS)) / CONDITIONS for _ in range(FAMILIES)]
        return clean[:, None] - np.stack(perturbed, axis=1)

    found = []
    for _ in range(BACKBONES):
        full = drops()
        found += [drops() - full for _ in range(METHODS)]
    return np.concatenate(found, axis=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("images", "rounds", "icc", "level"),
    [
        *((24, 3000, icc, level) for icc in (0.05, 0.3) for level in LEVELS),
        (50, 2000, 0.05, "near the ceiling"),
        (50, 2000, 0.3, "middling"),
        (200, 700, 0.05, "middling"),
        (200, 700, 0.3, "near the ceiling"),
    ],
)
def test_mean_differences_are_covered_and_families_err_as_promised(
    images: int, rounds: int, icc: float, level: str
) -> None:
    sums = differences(np.random.default_rng(images), rounds, images, icc, LEVELS[level]).reshape(-1, images)
    ratio = Ratio(sums, np.full_like(sums, QUESTIONS))
    value, error = ratio.estimate, standard_error(ratio.influence, images)
    low, high = t_interval(value, error, images, 0.95)
    assert 0.93 <= np.mean((low <= 0) & (high >= 0)) <= 0.97
    p = t_test(value, error, images).reshape(rounds, CONTRASTS)
    assert 0.03 <= np.mean([holm(row).min() < 0.05 for row in p]) <= 0.07
