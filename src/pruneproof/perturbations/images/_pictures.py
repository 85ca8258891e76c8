"""Stored images and their masks: reading, and resizing to the model's input."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pruneproof.files import read_rows
from pruneproof.perturbations.images import Mask, Picture
from pruneproof.pictures import read_mask, read_picture

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels; right and bottom are exclusive."""


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """One row of `images.parquet` with the masks of its objects, still encoded."""

    image_id: str
    png: bytes
    masks: tuple[bytes | Box, ...] = ()
    """In the order of `object_id`: a 1-bit PNG, or the box of an object that has none."""


def read_stored(images: Path, objects: Path) -> list[StoredPicture]:
    """All images of a benchmark, in the order of the file.

    Args:
        images: `images.parquet`.
        objects: `objects.parquet`.

    Raises:
        PruneProofError: if a file is missing or cannot be read.
    """
    masks: defaultdict[str, dict[int, bytes | Box]] = defaultdict(dict)
    for row in read_rows(objects, ["image_id", "object_id", "mask", "x0", "y0", "x1", "y1"]):
        masks[row["image_id"]][row["object_id"]] = row["mask"] or (row["x0"], row["y0"], row["x1"], row["y1"])
    return [
        StoredPicture(row["image_id"], row["png"], tuple(mask for _, mask in sorted(masks[row["image_id"]].items())))
        for row in read_rows(images, ["image_id", "png"])
    ]


def decode(stored: StoredPicture, model_pixels: int | None = None) -> Picture:
    """Decode an image and its masks; where an object has only a box, the whole box is its mask.

    Args:
        stored: The encoded image; see `pictures.read_picture`.
        model_pixels: If given, the shorter side is resized to this and the centre square is cut out.

    Raises:
        PruneProofError: if the image or a mask cannot be read.
    """
    image = read_picture(stored.png)
    masks = [
        read_mask(mask, f"mask {number}") if isinstance(mask, bytes) else _filled(mask, image.size)
        for number, mask in enumerate(stored.masks)
    ]
    if model_pixels is not None:
        image = _at_model_size(image, model_pixels, Image.Resampling.BICUBIC)
        masks = [
            np.array(_at_model_size(Image.fromarray(mask), model_pixels, Image.Resampling.NEAREST)) for mask in masks
        ]
    return Picture(np.array(image), tuple(masks))


def _filled(box: Box, size: tuple[int, int]) -> Mask:
    """All pixels that a box touches."""
    left, top, right, bottom = math.floor(box[0]), math.floor(box[1]), math.ceil(box[2]), math.ceil(box[3])
    mask = np.zeros((size[1], size[0]), np.bool_)
    mask[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = True
    return mask


def _at_model_size(image: Image.Image, side: int, resampling: Image.Resampling) -> Image.Image:
    """CLIP's preprocessing without its normalisation: shorter side to `side`, then the centre square."""
    shorter = min(image.size)
    width, height = (int(side * length / shorter) for length in image.size)
    left, top = (width - side) // 2, (height - side) // 2
    return image.resize((width, height), resampling).crop((left, top, left + side, top + side))
