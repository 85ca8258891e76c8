"""Pictures and masks as bytes: the one place where they are decoded and encoded.

What is written here has the same bytes wherever the same pixels are written: zlib's output differs between builds, so
nothing is deflated, and Parquet's own compression makes files as small (measured on corrupted scenes: 5% smaller than
deflated at level 1, in a quarter of the time). Digests of such bytes are digests of pixels.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from pruneproof.errors import PruneProofError

Pixels = NDArray[np.uint8]
"""RGB, (height, width, 3)."""
Mask = NDArray[np.bool_]
"""(height, width)."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LARGEST_BLOCK = 0xFFFF
_RESTORE = "restore the file or leave it out"


def with_shorter_side(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Width and height of a picture whose shorter side is resized to `side` pixels.

    Source: transformers `get_resize_output_image_size`, by which CLIP's image processor begins.
    """
    width, height = (int(side * length / min(size)) for length in size)
    return width, height


def read_picture(content: bytes, noun: str = "image") -> Image.Image:
    """A picture as a viewer shows it: upright, RGB, 8 bits per channel, on white where it is transparent.

    Args:
        content: any format and mode that Pillow reads. 16-bit grey is scaled from 0..65535, floating-point grey from
            0..1.
        noun: what the picture is called in errors.

    Raises:
        PruneProofError: if it is damaged, in no known format, has more pixels than Pillow considers safe (89
            million), or values whose white level is unknown: 32-bit integers, or floats outside 0..1.
    """
    image = _decoded(content, noun)
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        grey = np.asarray(image).astype(np.uint32)
        return Image.fromarray(((grey * 255 + 32767) // 65535).astype(np.uint8)).convert("RGB")
    if image.mode == "I":
        raise PruneProofError(
            f"{noun} has 32-bit integers ({_range(image)}), whose white level is unknown: save it with 8 or 16 "
            "bits per channel"
        )
    if image.mode == "F":
        values = np.asarray(image)
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise PruneProofError(
                f"{noun} has floating-point values ({_range(image)}), of which 1 is white: scale them to 0..1, or save "
                "it with 8 or 16 bits per channel"
            )
        return Image.fromarray(np.round(values * 255).astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image.convert("RGBA"))
    return white.convert("RGB")


def read_mask(content: bytes, noun: str = "mask") -> Mask:
    """A mask, (height, width): the pixels brighter than half of the brightest one, so that 0/1 and 0/255 are the same.

    Raises:
        PruneProofError: if it is damaged or in no known format.
    """
    values = np.asarray(_decoded(content, noun).convert("L"))
    mask: Mask = values > values.max(initial=0) / 2
    return mask


def encode_png(array: Pixels | Mask) -> bytes:
    """A PNG of pixels (height, width, 3), or a 1-bit one of a mask (height, width), without deflating."""
    height, width = array.shape[:2]
    bits, colour = (1, 0) if array.dtype == np.bool_ else (8, 2)
    rows = np.packbits(array, axis=1) if array.dtype == np.bool_ else array.reshape(height, width * 3)
    filtered = np.empty((height, 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = 0
    filtered[:, 1:] = rows
    if colour:  # PNG's filter "Sub", the difference to the pixel on the left, which compresses better.
        filtered[:, 0] = 1
        filtered[:, 4:] -= rows[:, :-3]
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", _stored(filtered.tobytes())) + _chunk(b"IEND", b"")


def _stored(content: bytes) -> bytes:
    """A zlib stream of blocks that are stored as they are (RFC 1950, RFC 1951 section 3.2.4)."""
    parts = [b"\x78\x01"]
    for start in range(0, len(content), _LARGEST_BLOCK):
        block = content[start : start + _LARGEST_BLOCK]
        last = start + _LARGEST_BLOCK >= len(content)
        parts += [struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF), block]
    return b"".join([*parts, struct.pack(">I", zlib.adler32(content))])


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _decoded(content: bytes, noun: str) -> Image.Image:
    """The whole of an image, so that a truncated one fails here, turned as its EXIF data say."""
    try:
        with warnings.catch_warnings(action="ignore"):
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(BytesIO(content))
            kind = image.format
            image.load()
            upright = ImageOps.exif_transpose(image)
    except Exception as error:
        raise _unreadable(error, content, noun) from None
    upright.format = kind
    return upright


def _unreadable(error: Exception, content: bytes, noun: str) -> PruneProofError:
    """Pillow's readers can raise anything on foreign bytes; the cause is always the file."""
    if isinstance(error, UnidentifiedImageError):  # Its text holds a memory address, and errors are part of the output.
        return PruneProofError(f"{noun} is in no known format ({len(content)} bytes): {_RESTORE}")
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        most = (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        return PruneProofError(f"{noun} has more than {most} million pixels, which no model needs: scale it down")
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return PruneProofError(f"{noun} cannot be decoded ({reason}): {_RESTORE}")


def _range(image: Image.Image) -> str:
    values = np.asarray(image)
    return f"{values.min():g} to {values.max():g}"
