"""Stored images and their masks: reading, resizing to the model's input, writing."""

from __future__ import annotations

import struct
import zlib
from collections import defaultdict
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from pruneproof.errors import PruneProofError
from pruneproof.files import read_rows
from pruneproof.perturbations.images import Picture, Pixels

PNG_LEVEL = 1
"""Deflate level of the PNGs: noise hardly shrinks at any level, and the highest costs more than most corruptions."""


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """One row of `images.parquet` with the masks of its objects, still encoded."""

    image_id: str
    png: bytes
    masks: tuple[bytes, ...] = ()
    """1-bit PNGs in the order of `object_id`."""


def read_stored(images: Path, objects: Path) -> list[StoredPicture]:
    """All images of a benchmark, in the order of the file.

    Args:
        images: `images.parquet`.
        objects: `objects.parquet`.

    Raises:
        PruneProofError: if a file is missing or cannot be read.
    """
    masks: defaultdict[str, list[tuple[int, bytes]]] = defaultdict(list)
    for row in read_rows(objects, ["image_id", "object_id", "mask"]):
        masks[row["image_id"]].append((row["object_id"], row["mask"]))
    return [
        StoredPicture(row["image_id"], row["png"], tuple(mask for _, mask in sorted(masks[row["image_id"]])))
        for row in read_rows(images, ["image_id", "png"])
    ]


def decode(stored: StoredPicture, model_pixels: int | None = None) -> Picture:
    """Decode an image and its masks.

    Args:
        stored: The encoded image; any format and mode that Pillow reads.
        model_pixels: If given, the shorter side is resized to this and the centre square is cut out.

    Raises:
        PruneProofError: if the image or a mask is truncated or unreadable.
    """
    image = _opened(stored.png, "image").convert("RGB")
    masks = [_opened(mask, f"mask {number}").convert("1") for number, mask in enumerate(stored.masks)]
    if model_pixels is not None:
        image = _at_model_size(image, model_pixels, Image.Resampling.BICUBIC)
        masks = [_at_model_size(mask, model_pixels, Image.Resampling.NEAREST) for mask in masks]
    return Picture(np.array(image), tuple(np.array(mask) for mask in masks))


def encode(pixels: Pixels) -> bytes:
    """A PNG of RGB pixels (height, width, 3); the same pixels give the same bytes."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=PNG_LEVEL)
    return buffer.getvalue()


def _opened(content: bytes, noun: str) -> Image.Image:
    """Decode the whole of an image, so that a truncated one fails here."""
    try:
        image = Image.open(BytesIO(content))
        image.load()
    except UnidentifiedImageError:  # Its text holds a memory address, and errors are part of the output.
        raise PruneProofError(f"{noun} is in no known format ({len(content)} bytes)") from None
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        zlib.error,
        struct.error,
        Image.DecompressionBombError,
    ) as error:
        raise PruneProofError(f"{noun} cannot be decoded ({error})") from error
    return image


def _at_model_size(image: Image.Image, side: int, resampling: Image.Resampling) -> Image.Image:
    """CLIP's preprocessing without its normalisation: shorter side to `side`, then the centre square."""
    shorter = min(image.size)
    width, height = (int(side * length / shorter) for length in image.size)
    left, top = (width - side) // 2, (height - side) // 2
    return image.resize((width, height), resampling).crop((left, top, left + side, top + side))
