"""Reading pictures of every kind, and PNGs whose bytes depend on their pixels alone."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from pruneproof.errors import PruneProofError
from pruneproof.pictures import encode_png, read_mask, read_picture

RAMP = np.array([[0, 64, 128, 255]], np.uint8)


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def grey(content: bytes) -> list[int]:
    """The red channel of the first row, the picture being grey."""
    pixels = np.asarray(read_picture(content))
    assert (pixels == pixels[..., :1]).all()
    row: list[int] = pixels[0, :, 0].tolist()
    return row


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_from_its_whole_range(kind: str) -> None:
    image = Image.fromarray(RAMP.astype(np.uint16) * 257)
    assert image.mode == "I;16"
    assert grey(saved(image, kind)) == [0, 64, 128, 255]


def test_floats_are_scaled_from_0_to_1() -> None:
    assert grey(saved(Image.fromarray(RAMP.astype(np.float32) / 255), "TIFF")) == [0, 64, 128, 255]


@pytest.mark.parametrize("values", [[0.0, 255.0], [-0.5, 0.5], [np.nan, 0.5], [np.inf, 0.0]])
def test_floats_of_another_range_are_refused(values: list[float]) -> None:
    content = saved(Image.fromarray(np.array([values], np.float32)), "TIFF")
    with pytest.raises(PruneProofError, match=r"image 'a' has floating-point values \(.* to .*\), of which 1 is white"):
        read_picture(content, "image 'a'")


@pytest.mark.parametrize("most", [1, 255, 65535, 2**31 - 1])
def test_32_bit_integers_are_refused(most: int) -> None:
    content = saved(Image.fromarray(np.array([[0, most]], np.int32)), "TIFF")
    with pytest.raises(
        PruneProofError, match=r"image 'a' has 32-bit integers .* save it with 8 or 16 bits per channel"
    ):
        read_picture(content, "image 'a'")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (1, lambda a: a),
        (2, np.fliplr),
        (3, lambda a: np.rot90(a, 2)),
        (4, np.flipud),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: np.rot90(a, 2).transpose(1, 0, 2)),
        (8, np.rot90),
    ],
)
def test_pictures_stand_upright(kind: str, orientation: int, turned: Callable[[Any], Any]) -> None:
    stored = np.kron(np.arange(6).reshape(2, 3, 1) * 50, np.ones((8, 8, 3))).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    found = np.asarray(read_picture(saved(Image.fromarray(stored), kind, exif=exif, **options)))
    expected = turned(stored)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= (8 if kind == "JPEG" else 0)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr"])
@pytest.mark.parametrize("level", [0, 255])
def test_every_colour_mode_becomes_rgb(mode: str, level: int) -> None:
    image = Image.new("RGB", (5, 4), (level,) * 3).convert(mode)
    found = read_picture(saved(image, "TIFF"))
    assert found.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(found), np.full((4, 5, 3), level))


def test_16_bits_of_colour_become_the_upper_8() -> None:
    wide = np.array([[[65535, 0, 256], [255, 32896, 511]]], np.uint16)
    for kind in (".png", ".tiff"):
        content = cv2.imencode(kind, wide[..., ::-1])[1].tobytes()
        assert np.asarray(read_picture(content)).tolist() == [[[255, 0, 1], [0, 128, 1]]]


def test_a_printers_jpeg_has_its_colours() -> None:
    image = Image.new("RGB", (24, 16), (200, 30, 90)).convert("CMYK")
    found = np.asarray(read_picture(saved(image, "JPEG", quality=95)))
    assert np.abs(found.astype(int) - (200, 30, 90)).max() <= 2


@pytest.mark.parametrize("size", [(20, 20), (12_000, 300), (300, 12_000)])
def test_pictures_of_any_shape_are_read(size: tuple[int, int]) -> None:
    assert read_picture(saved(Image.new("RGB", size, "red"), "JPEG")).size == size


def test_what_is_transparent_shows_white_and_not_the_colour_under_it() -> None:
    image = Image.fromarray(np.array([[[200, 0, 0, 255], [200, 0, 0, 0], [0, 0, 0, 51]]], np.uint8))
    assert np.asarray(read_picture(saved(image))).tolist() == [[[200, 0, 0], [255, 255, 255], [204, 204, 204]]]
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    content = saved(palette, transparency=1)
    assert np.asarray(read_picture(content)).tolist() == [[[10, 20, 30], [255, 255, 255]]]
    colour = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    content = saved(colour, transparency=(4, 5, 6))
    assert np.asarray(read_picture(content)).tolist() == [[[1, 2, 3], [255, 255, 255]]]


@pytest.mark.parametrize("side", [10_000, 20_000, 100_000])
def test_a_picture_of_hundreds_of_megapixels_is_refused(side: int) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    with pytest.raises(PruneProofError, match=r"image 'a' has more than 89 million pixels, .*: scale it down"):
        read_picture(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", b"") + chunk(b"IEND", b""), "image 'a'")


WHOLE = saved(Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (WHOLE[:-400], r"image cannot be decoded \(.*truncated.*\): restore the file or leave it out"),
        (b"not an image", r"image is in no known format \(12 bytes\): restore the file or leave it out"),
        (b"", r"image is in no known format \(0 bytes\): restore the file or leave it out"),
    ],
)
def test_truncated_and_foreign_content_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(PruneProofError, match=message):
        read_picture(content)


EXIF = Image.Exif()
EXIF[0x0112] = 6
FILES = [saved(Image.new("RGB", (9, 7), "red"), kind, exif=EXIF) for kind in ("PNG", "JPEG", "TIFF", "WEBP")]
FILES += [saved(Image.new("P", (9, 7)), "GIF"), saved(Image.new("RGB", (9, 7)), "BMP")]


@settings(max_examples=300, deadline=None)
@given(
    content=st.sampled_from(FILES),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_damage_anywhere_gives_a_picture_or_one_line(content: bytes, changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(content)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    said = ""
    try:
        assert read_picture(bytes(damaged)).mode == "RGB"
    except PruneProofError as error:
        said = str(error)
    assert "\n" not in said
    assert said == "" or said.startswith("image ")


@settings(deadline=None)
@given(
    array=arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3)))
    | arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40)))
)
def test_encoded_arrays_survive_the_round_trip(array: Any) -> None:
    image = Image.open(BytesIO(encode_png(array)))
    assert image.mode == ("1" if array.dtype == np.bool_ else "RGB")
    np.testing.assert_array_equal(np.asarray(image), array)
    read = read_mask if array.dtype == np.bool_ else read_picture
    np.testing.assert_array_equal(np.asarray(read(encode_png(array))), array)


def test_pictures_of_many_blocks_survive_too() -> None:
    array = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(read_picture(encode_png(array))), array)


def test_bytes_are_worked_by_hand() -> None:
    # Two pixels: the filter "Sub" keeps the first and stores the second as its difference, modulo 256.
    row = bytes([1, 10, 20, 30, 1, 255, 0])
    stream = b"\x78\x01\x01\x07\x00\xf8\xff" + row + struct.pack(">I", zlib.adler32(row))
    content = encode_png(np.array([[[10, 20, 30], [11, 19, 30]]], np.uint8))
    assert stream in content
    assert len(content) == 8 + (12 + 13) + (12 + len(stream)) + 12
    assert zlib.decompress(stream) == row


@pytest.mark.parametrize("brightest", [1, 128, 255])
def test_a_mask_is_what_is_brighter_than_half_of_its_brightest(brightest: int) -> None:
    values = np.array([[0, brightest], [brightest // 2 if brightest > 1 else 0, brightest]], np.uint8)
    expected = [[False, True], [False, True]]
    assert read_mask(saved(Image.fromarray(values))).tolist() == expected


def test_an_empty_mask_stays_empty() -> None:
    assert not read_mask(saved(Image.new("1", (4, 3)))).any()
    with pytest.raises(PruneProofError, match="mask 2 cannot be decoded"):
        read_mask(WHOLE[:-100], "mask 2")
