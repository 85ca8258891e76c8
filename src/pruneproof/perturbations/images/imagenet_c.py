"""The 15 corruptions of ImageNet-C and its 4 extra ones, as the `imagecorruptions` package computes them.

Source: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations"
(ICLR 2019); Michaelis et al., "Benchmarking Robustness in Object Detection" (2019), whose package this is
(distribution `imagecorruptions-imaug`).

Compared with the published ImageNet-C: the constants are the official ones except for `elastic_transform`, which the
package redesigned (at severity 1 it moves what a 224 x 224 image shows by 1 pixel, as a standard deviation, along a
smooth field, where the official one shifts three corners by up to 24). Motion blur (also inside snow) and frost are
computed differently, frost draws from six textures instead of five, and nothing is re-saved as JPEG. The constants are
in pixels of a 224 x 224 image: on 640 x 480 pictures that a model then shrinks to its input, a blur is 2.1 times weaker
and noise comes out 0.7 times as strong, so that such benchmarks should set `perturbations.image.resolution: model`.

Compared with the package: no pixel depends on the processor (see `_arithmetic`), and every pixel is within one grey
level of the package's, with one exception. OpenCV's distance transform, inside spatter at severities 1 to 3, has other
values where Intel's IPP computes it; the result here is within one grey level of the package without IPP, from which
the package with IPP departs by up to 8 grey levels in a few pixels.

The package draws from three sources, and so do the functions here, number by number: NumPy's global state, in whose
place each takes a `RandomState` of its own; scikit-image's generator (impulse noise); and Numba's (glass blur), which
gives what a `RandomState` gives. They stand in `_noise`, `_blurs`, `_weather` and `_digital`, rewritten for speed;
the package itself is needed for its photographs of frost alone, and is not imported, since that takes long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

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


@dataclass(frozen=True, slots=True)
class Corruption:
    """One corruption of the package, made a function of its arguments alone."""

    name: str

    def __call__(self, picture: Picture, severity: int, rng: np.random.Generator) -> Pixels:
        """Corrupt the picture; see `ImagePerturbation`."""
        height, width, _ = picture.pixels.shape
        if min(height, width) < SMALLEST_SIDE:
            raise PruneProofError(f"{self.name} needs at least {SMALLEST_SIDE} pixels per side, got {width} x {height}")
        seed = int(rng.integers(2**32))
        try:
            with np.errstate(invalid="raise"):
                return _functions()[self.name](picture.pixels, severity, seed)
        except (ArithmeticError, ValueError) as error:
            raise PruneProofError(f"{self.name} at severity {severity} failed: {error}") from error


@cache
def _functions() -> Mapping[str, Callable[[Pixels, int, int], Pixels]]:
    """What computes the pixels, by name; imported when first needed."""
    from pruneproof.perturbations.images import _blurs, _digital, _noise, _weather

    return {**_noise.CORRUPTIONS, **_blurs.CORRUPTIONS, **_weather.CORRUPTIONS, **_digital.CORRUPTIONS}


PERTURBATIONS: Mapping[str, ImagePerturbation] = {name: Corruption(name) for name in NAMES}
