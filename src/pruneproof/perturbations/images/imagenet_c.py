"""The 15 corruptions of ImageNet-C and its 4 extra ones, as the `imagecorruptions` package computes them.

Source: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations"
(ICLR 2019); Michaelis et al., "Benchmarking Robustness in Object Detection" (2019), whose package this is
(distribution `imagecorruptions-imaug`). The constants are ImageNet-C's, in pixels of a 224 x 224 image; motion blur,
snow, elastic transform, zoom blur, pixelate and frost are computed differently from the official scripts, and nothing
is re-saved as JPEG, so the images are not those of the published ImageNet-C.

The package draws from three sources: NumPy's global state; scikit-image's own generator (impulse noise); and Numba's,
which lives apart from NumPy's (glass blur). The first is seeded and put back here, the other two take a seed with each
call, which for Numba is applied inside the compiled function.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

import numpy as np

from pruneproof.errors import PruneProofError
from pruneproof.perturbations.images import ImagePerturbation, Picture, Pixels

NAMES = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
    "speckle_noise",
    "gaussian_blur",
    "spatter",
    "saturate",
)
"""ImageNet-C's order; the last four are its extra (validation) corruptions."""

SMALLEST_SIDE = 32
"""Shortest side in pixels that the package accepts."""

_WITH_SEED_ARGUMENT = frozenset({"impulse_noise", "glass_blur"})
_global_states = Lock()


@dataclass(frozen=True, slots=True)
class Corruption:
    """One corruption of the package, made a function of its arguments alone."""

    name: str

    def __call__(self, picture: Picture, severity: int, rng: np.random.Generator) -> Pixels:
        """Corrupt the picture; see `ImagePerturbation`."""
        from imagecorruptions import corrupt

        height, width, _ = picture.pixels.shape
        if min(height, width) < SMALLEST_SIDE:
            raise PruneProofError(f"{self.name} needs at least {SMALLEST_SIDE} pixels a side, got {width} x {height}")
        seed = int(rng.integers(2**32))
        options = {"seed": seed} if self.name in _WITH_SEED_ARGUMENT else {}
        try:
            with _seeded(seed), np.errstate(invalid="raise"):
                pixels: Pixels = corrupt(picture.pixels, severity=severity, corruption_name=self.name, **options)
        except (ArithmeticError, ValueError) as error:
            raise PruneProofError(f"{self.name} at severity {severity} failed: {error}") from error
        return pixels


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the global states of `random` and NumPy, one caller at a time, and put them back afterwards."""
    with _global_states:
        python_state, numpy_state = random.getstate(), np.random.get_state()
        random.seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)


PERTURBATIONS: Mapping[str, ImagePerturbation] = {name: Corruption(name) for name in NAMES}
