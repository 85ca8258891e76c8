"""Stored images and their masks: where they are, reading, and resizing to the model's input."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pruneproof.errors import PruneProofError
from pruneproof.files import read_table
from pruneproof.folders import Folders
from pruneproof.perturbations.images import Mask, Picture
from pruneproof.pictures import read_mask, read_picture, with_shorter_side
from pruneproof.stored import Held, InFile, InTable, Stored, each_row

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels; right and bottom are exclusive."""
LONGEST = 8192
"""Pixels of a resized picture's longer side. Fog works on a square whose side is the next power of two: with this one
it takes 0.7 GB and 5 s a picture, with 336 x 33,600 pixels 34 GB."""


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """One row of `images.parquet` with the masks of its objects, still encoded and not yet read."""

    image_id: str
    picture: Stored
    masks: tuple[Stored | Box, ...] = ()
    """In the order of `object_id`: a 1-bit PNG, or the box of an object that has none."""

    def held(self) -> StoredPicture:
        """The same in memory.

        Raises:
            PruneProofError: if something is missing or has changed.
        """
        masks = (mask if isinstance(mask, tuple) else Held(mask.read()) for mask in self.masks)
        return StoredPicture(self.image_id, Held(self.picture.read()), tuple(masks))


def read_pictures(folders: Folders) -> dict[str, Stored]:
    """Where every picture of the benchmark is, by image id and in the order of the table.

    Raises:
        PruneProofError: if the table is missing or cannot be read.
    """
    path = folders.benchmark / "images.parquet"
    rows = read_table(path, ["image_id", "file", "sha256"]).to_pydict()
    return {
        image_id: InFile(folders.study / file, sha256) if file else InTable(path, row, sha256)
        for row, (image_id, file, sha256) in enumerate(zip(rows["image_id"], rows["file"], rows["sha256"], strict=True))
    }


def read_stored(folders: Folders) -> list[StoredPicture]:
    """All pictures of a benchmark with their masks, in the order of the table.

    Raises:
        PruneProofError: if a table is missing or cannot be read.
    """
    masks: defaultdict[str, dict[int, Stored | Box]] = defaultdict(dict)
    path = folders.benchmark / "objects.parquet"
    columns = ["image_id", "object_id", "mask", "x0", "y0", "x1", "y1"]
    for number, row in enumerate(each_row(path, columns)):
        box = (row["x0"], row["y0"], row["x1"], row["y1"])
        mask = InTable(path, number, Held(row["mask"]).digest, "mask") if row["mask"] else box
        masks[row["image_id"]][row["object_id"]] = mask
    return [
        StoredPicture(image_id, picture, tuple(mask for _, mask in sorted(masks.get(image_id, {}).items())))
        for image_id, picture in read_pictures(folders).items()
    ]


def decode(stored: StoredPicture, model_pixels: int | None = None) -> Picture:
    """Decode an image and its masks; where an object has only a box, the whole box is its mask.

    Args:
        stored: The encoded image; see `pictures.read_picture`.
        model_pixels: If given, the shorter side is resized to this. Nothing is cut off, as some families read whole
            pictures, and what a corrupted one lacks beside the clean one would be taken for the corruption's work.

    Raises:
        PruneProofError: if the image or a mask cannot be read, or the resized image would be too long.
    """
    image = read_picture(stored.picture.read())
    masks = [
        _filled(mask, image.size) if isinstance(mask, tuple) else read_mask(mask.read(), f"mask {number}")
        for number, mask in enumerate(stored.masks)
    ]
    if model_pixels is not None:
        size = _resized(image.size, model_pixels)
        image = image.resize(size, Image.Resampling.BICUBIC)
        masks = [np.array(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)) for mask in masks]
    pixels = np.array(image)
    pixels.flags.writeable = False
    return Picture(pixels, tuple(masks))


def _resized(size: tuple[int, int], model_pixels: int) -> tuple[int, int]:
    """Width and height of a picture whose shorter side is brought to `model_pixels`, if it does not become a strip."""
    width, height = with_shorter_side(size, model_pixels)
    if max(width, height) > LONGEST:
        raise PruneProofError(
            f"the picture has {size[0]} x {size[1]} pixels, of which `resolution: model` makes {width} x {height}: the "
            f"longer side may have at most {LONGEST}; crop the picture or leave it out, or set `resolution: native`"
        )
    return width, height


def _filled(box: Box, size: tuple[int, int]) -> Mask:
    """All pixels that a box touches."""
    left, top, right, bottom = math.floor(box[0]), math.floor(box[1]), math.ceil(box[2]), math.ceil(box[3])
    mask = np.zeros((size[1], size[0]), np.bool_)
    mask[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = True
    return mask
