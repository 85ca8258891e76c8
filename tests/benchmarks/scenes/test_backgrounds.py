"""Backgrounds: one for every theme, of the size asked for, from their stream alone."""

from __future__ import annotations

import numpy as np
import pytest

from pruneproof.benchmarks.scenes.backgrounds import background
from pruneproof.benchmarks.scenes.vocabulary import THEMES


@pytest.mark.parametrize("theme", THEMES)
def test_a_background_is_textured_and_repeatable(theme: str) -> None:
    first, again = (np.asarray(background(theme, 224, np.random.default_rng(4)), float) for _ in range(2))
    assert np.array_equal(first, again)
    assert first.shape == (224, 224, 3)
    patches = first.reshape(16, 14, 16, 14, 3)
    assert (patches.std((1, 3)).mean(-1) > 2).mean() > 0.9
