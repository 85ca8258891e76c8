from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from tests.scoring.conftest import widen

from pruneproof.errors import PruneProofError
from pruneproof.files import read_rows, write_rows
from pruneproof.folders import Folders
from pruneproof.patches import read_patches
from pruneproof.records import OBJECTS, PATCHES, SAMPLES, Sample, sample_from_row, sample_to_row
from pruneproof.scoring import targets
from pruneproof.scoring.questions import load_questions

QUARTERS = np.array([[0, 0, 4, 4], [4, 0, 8, 4], [0, 4, 4, 8], [4, 4, 8, 8]], float)
corner = st.integers(0, 16)


def png(pixels: np.ndarray) -> bytes:
    content = BytesIO()
    Image.fromarray(pixels).convert("1").save(content, "PNG")
    return content.getvalue()


@given(arrays(bool, (8, 8)), st.tuples(corner, corner, corner, corner))
def test_mask_coverage_is_the_mean_of_the_pixels_in_a_box(pixels: np.ndarray, corners: tuple[int, ...]) -> None:
    """Boxes in half pixels: in a picture of twice the size they hold whole ones."""
    (x0, x1), (y0, y1) = sorted(corners[::2]), sorted(corners[1::2])
    inner = pixels.repeat(2, 0).repeat(2, 1)[y0:y1, x0:x1]
    found = targets.mask_coverage(png(pixels), np.array([[x0, y0, x1, y1]]) / 2, (8, 8))
    assert found == pytest.approx(inner.mean() if inner.size else 0.0)


@given(st.tuples(corner, corner, corner, corner), arrays(float, (5, 4), elements=st.floats(0, 15.9)))
def test_box_and_mask_agree(corners: tuple[int, ...], boxes: np.ndarray) -> None:
    (x0, x1), (y0, y1) = sorted(corners[::2]), sorted(corners[1::2])
    boxes = np.sort(boxes.reshape(5, 2, 2), 1).reshape(5, 4)
    # A patch thinner than a thousandth of a pixel leaves nothing of the float's digits.
    boxes[:, 2:] += 0.001
    pixels = np.zeros((16, 16), bool)
    pixels[y0:y1, x0:x1] = True
    found = targets.box_coverage((x0, y0, x1, y1), boxes)
    np.testing.assert_allclose(found, targets.mask_coverage(png(pixels), boxes, (16, 16)), atol=1e-4)


def test_a_damaged_mask_is_an_error_or_an_image() -> None:
    """Every byte changed and every tail cut off: nothing but a clear error may come of it."""
    whole = png(np.eye(8, dtype=bool))
    damaged = [whole[:i] for i in range(len(whole))]
    damaged += [whole[:i] + bytes([whole[i] ^ 0x55]) + whole[i + 1 :] for i in range(len(whole))]
    said = set()
    for mask in damaged:
        try:
            targets.mask_coverage(mask, QUARTERS, (8, 8))
        except PruneProofError as error:
            said.add(str(error).partition(" (")[0])
    assert said == {"a mask is in no known format", "a mask cannot be decoded"}


@pytest.mark.parametrize(
    ("mask", "said"),
    [(b"not a png", "a mask is in no known format"), (png(np.eye(8, dtype=bool)), "a mask has 8 x 8 pixels")],
)
def test_a_mask_that_cannot_be_used_is_named(folders: Folders, mask: bytes, said: str) -> None:
    path = folders.benchmark / "objects.parquet"
    write_rows(path, [row | {"mask": mask} for row in read_rows(path)], OBJECTS)
    with pytest.raises(PruneProofError, match=rf"objects\.parquet, object 0 of image scene_0: {said}"):
        found_in(folders)


def test_patches_are_those_covered_by_a_tenth_or_the_best() -> None:
    assert targets.chosen_patches(np.array([0.1, 0.09, 1.0, 0.0])).tolist() == [True, False, True, False]
    assert targets.chosen_patches(np.array([0.02, 0.03, 0.0, 0.0])).tolist() == [False, True, False, False]
    assert not targets.chosen_patches(np.zeros(4)).any()


def rewrite(folders: Folders, samples: list[Sample]) -> None:
    write_rows(folders.benchmark / "samples.parquet", [sample_to_row(sample) for sample in samples], SAMPLES)


def read(folders: Folders) -> list[Sample]:
    return [sample_from_row(row) for row in read_rows(folders.benchmark / "samples.parquet")]


def found_in(folders: Folders, side: int | None = None) -> np.ndarray:
    patches = read_patches(folders.patches / "tiny.parquet")
    return targets.target_patches(folders, load_questions(folders), patches, side)


@pytest.mark.parametrize("with_mask", [True, False])
def test_target_patches(folders: Folders, with_mask: bool) -> None:
    path = folders.benchmark / "objects.parquet"
    if not with_mask:
        write_rows(path, [row | {"mask": b""} for row in read_rows(path)], OBJECTS)
    by_noun = {"dog": [0, 4], "car": [1, 5]}
    for sample, row in zip(read(folders), found_in(folders), strict=True):
        expected = by_noun[sample.target] if sample.target_objects else []
        assert np.flatnonzero(row).tolist() == expected


def test_two_objects_are_joined(folders: Folders) -> None:
    rewrite(folders, [replace(read(folders)[0], target_objects=(0, 1))])
    assert np.flatnonzero(found_in(folders)[0]).tolist() == [0, 1, 4, 5]


def test_patches_of_several_crops_overlap() -> None:
    """An object in the left half belongs to the coarse patch of the whole picture and to the fine ones of a tile."""
    boxes = np.array([[0, 0, 8, 8], [0, 0, 4, 4], [4, 0, 8, 4], [0, 4, 4, 8], [4, 4, 8, 8]], float)
    found = targets.chosen_patches(targets.box_coverage((0, 0, 4, 4), boxes))
    assert found.tolist() == [True, True, False, False, False]


def test_a_picture_shown_at_half_the_size_has_other_patches(folders: Folders) -> None:
    """The picture is 64 x 32 with the dog's box at 0 to 8 and the car's at 16 to 24, shown in 4 x 2 patches."""
    widen(folders)
    half = [edge for y in range(0, 16, 8) for x in range(0, 32, 8) for edge in (x, y, x + 8, y + 8)]
    write_rows(folders.patches / "tiny.parquet", [{"width": 32, "height": 16, "boxes": half}], PATCHES)
    by_noun = {"dog": [0], "car": [1]}
    for sample, row in zip(read(folders), found_in(folders, side=16), strict=True):
        assert np.flatnonzero(row).tolist() == (by_noun[sample.target] if sample.target_objects else [])
    with pytest.raises(PruneProofError, match="no boxes for pictures of 64 x 32 pixels"):
        found_in(folders)


def test_missing_object_is_named(folders: Folders) -> None:
    rewrite(folders, [replace(read(folders)[0], target_objects=(7,))])
    with pytest.raises(PruneProofError, match="lacks object 7 of image scene_0"):
        found_in(folders)
