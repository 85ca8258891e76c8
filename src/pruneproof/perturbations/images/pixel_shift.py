"""Translation by a few pixels, under which even unpruned vision-language models are unstable (arXiv 2511.11206).

A patch grid has no tolerance for it: what a method selects by patch may be more unstable than the model is.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pruneproof.perturbations.images import ImagePerturbation, Picture, Pixels

DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))
"""Where the content moves to, as (down, right): along one axis, so that the distance is the severity."""


def pixel_shift(picture: Picture, severity: int, rng: np.random.Generator) -> Pixels:
    """Move the content by `severity` pixels to the right, left, bottom or top, drawn at random.

    Content that leaves the picture is lost; the gap repeats the outermost row or column, which shows nothing new,
    whereas a mirrored edge would show objects twice and a black one a line that no photograph has.
    """
    height, width, _ = picture.pixels.shape
    down, right = (severity * step for step in DIRECTIONS[int(rng.integers(len(DIRECTIONS)))])
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return picture.pixels[rows[:, np.newaxis], columns]


PERTURBATIONS: Mapping[str, ImagePerturbation] = {"pixel_shift": pixel_shift}
