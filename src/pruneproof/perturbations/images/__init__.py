"""Image perturbations: pure functions (picture, severity, generator) -> pixels of the same shape.

Every public module of this package exposes `PERTURBATIONS`, a mapping from name to `ImagePerturbation`; adding one
means adding a module. Listing the names imports no image library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pruneproof import registry
from pruneproof.errors import PruneProofError

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """An image with the ground-truth masks of what it shows."""

    pixels: Pixels
    """RGB, (height, width, 3)."""
    masks: tuple[Mask, ...] = ()
    """Visible pixels of each object, each (height, width); empty where the benchmark has none."""

    def __post_init__(self) -> None:
        """Refuse what no perturbation could work on."""
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 3 or self.pixels.dtype != np.uint8:
            raise PruneProofError(
                f"a picture must be uint8 of shape (height, width, 3), got {self.pixels.dtype} {self.pixels.shape}"
            )
        for mask in self.masks:
            if mask.shape != self.pixels.shape[:2] or mask.dtype != np.bool_:
                raise PruneProofError(
                    f"a mask must be bool of shape {self.pixels.shape[:2]}, got {mask.dtype} {mask.shape}"
                )


class ImagePerturbation(Protocol):
    """What a module of this package offers under a name."""

    def __call__(self, picture: Picture, severity: int, rng: np.random.Generator) -> Pixels:
        """Return new pixels of the picture's shape; leave the picture and every global random state as they were.

        Args:
            picture: The clean picture.
            severity: 1 (mild) to 5.
            rng: The only source of randomness; it belongs to this image, perturbation and severity alone.

        Raises:
            PruneProofError: if this picture cannot be perturbed (too small, no object to cover).
        """
        ...


def looks_at_masks(function: ImagePerturbation) -> ImagePerturbation:
    """Mark a perturbation that looks at masks: for all others they are neither read nor decoded."""
    vars(function)["needs_masks"] = True
    return function


def needs_masks(name: str) -> bool:
    """Whether the perturbation of that name looks at masks.

    Raises:
        PruneProofError: if there is none.
    """
    return bool(getattr(perturbation(name), "needs_masks", False))


@cache
def registered() -> Mapping[str, ImagePerturbation]:
    """All image perturbations by name.

    Raises:
        PruneProofError: if two modules define the same name.
    """
    return registry.merge(__name__, "PERTURBATIONS", "image perturbation")


def perturbation(name: str) -> ImagePerturbation:
    """The image perturbation of that name.

    Raises:
        PruneProofError: if there is none; the error lists those that exist, the closest match first.
    """
    known = registered()
    if name not in known:
        raise registry.unknown("image perturbation", name, known)
    return known[name]


def perturb(name: str, picture: Picture, severity: int, rng: np.random.Generator) -> Pixels:
    """Apply the perturbation of that name and check that it kept the protocol.

    Raises:
        PruneProofError: if the name is unknown, the severity is not one of 1 to 5, or the picture cannot be perturbed.
    """
    if severity not in range(1, 6):
        raise PruneProofError(f"severity of {name} must be 1 to 5, got {severity}")
    pixels = perturbation(name)(picture, severity, rng)
    if pixels.shape != picture.pixels.shape or pixels.dtype != np.uint8:
        raise PruneProofError(
            f"{name} must return uint8 of shape {picture.pixels.shape}, got {pixels.dtype} {pixels.shape}"
        )
    return pixels
