"""Occlusion: mid-grey boxes, scattered at random or aimed at one object.

ImageNet-C has no occlusion. The boxes follow Cutout (DeVries and Taylor, "Improved Regularization of Convolutional
Neural Networks with Cutout", 2017), which paints squares with the mean colour of the data; mid grey lies near that of
CLIP's normalisation (123, 117, 104) and favours no backbone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from pruneproof.errors import PruneProofError
from pruneproof.perturbations.images import ImagePerturbation, Mask, Picture, Pixels, looks_at_masks

IMAGE_SHARES = (0.10, 0.20, 0.30, 0.40, 0.50)
"""Share of the image that `occlusion_random` covers, by severity."""

OBJECT_SHARES = (0.15, 0.30, 0.45, 0.60, 0.75)
"""Least share of the object that `occlusion_object` covers, by severity; a quarter stays visible, so labels hold."""

GREY = 128
"""Value of all three channels inside a box."""

_SHORTEST, _LONGEST = 1 / 8, 1 / 3
"""Sides of a random box, as shares of the image's sides: 28 to 75 pixels at 224, two to five patches of 14."""


def occlusion_random(picture: Picture, severity: int, rng: np.random.Generator) -> Pixels:
    """Cover a share of the image, exact to the pixel, with boxes at random places; the last box is cut short."""
    height, width, _ = picture.pixels.shape
    covered = np.zeros((height, width), dtype=np.bool_)
    wanted = round(IMAGE_SHARES[severity - 1] * height * width)
    while (missing := wanted - int(covered.sum())) > 0:
        top, bottom = _interval(height, rng)
        left, right = _interval(width, rng)
        rows, columns = np.nonzero(~covered[top:bottom, left:right])
        covered[top + rows[:missing], left + columns[:missing]] = True
    return _painted(picture, covered)


@looks_at_masks
def occlusion_object(picture: Picture, severity: int, rng: np.random.Generator) -> Pixels:
    """Cover one object, drawn at random, from one side of its bounding box, drawn at random.

    The box spans the object's bounding box and enters it just far enough, in whole rows or columns, to cover at least
    the share of the object's visible pixels that the severity asks for. Whatever else lies under the box is covered
    too.

    Raises:
        PruneProofError: if the picture has no object.
    """
    masks = [mask for mask in picture.masks if mask.any()]
    if not masks:
        raise PruneProofError("occlusion_object needs an object's mask and the image has none")
    mask = masks[rng.integers(len(masks))]
    turns = int(rng.integers(4))
    return _painted(picture, np.rot90(_box_from_the_left(np.rot90(mask, turns), OBJECT_SHARES[severity - 1]), -turns))


def _interval(length: int, rng: np.random.Generator) -> tuple[int, int]:
    """Start and end (exclusive) of one side of a random box, inside 0 to `length`."""
    size = int(rng.integers(max(1, round(_SHORTEST * length)), max(1, round(_LONGEST * length)) + 1))
    start = int(rng.integers(length - size + 1))
    return start, start + size


def _box_from_the_left(mask: Mask, share: float) -> Mask:
    """The box that spans the mask's rows and the fewest of its columns, from the left, that hold `share` of it."""
    rows = np.flatnonzero(mask.any(axis=1))
    held = np.cumsum(mask.sum(axis=0))
    first = int(np.searchsorted(held, 1))
    last = int(np.searchsorted(held, math.ceil(share * int(held[-1]))))
    box = np.zeros_like(mask)
    box[rows[0] : rows[-1] + 1, first : last + 1] = True
    return box


def _painted(picture: Picture, covered: Mask) -> Pixels:
    """A copy of the picture's pixels with the covered ones in mid grey."""
    pixels = picture.pixels.copy()
    pixels[covered] = GREY
    return pixels


PERTURBATIONS: Mapping[str, ImagePerturbation] = {
    "occlusion_random": occlusion_random,
    "occlusion_object": occlusion_object,
}
