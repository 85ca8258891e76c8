"""Decoding, the resolution policy, and PNGs."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scenery import disc, pixels, png, standard_benchmark, write_benchmark

from pruneproof.errors import PruneProofError
from pruneproof.folders import Folders
from pruneproof.perturbations.images._pictures import StoredPicture, decode, read_stored
from pruneproof.stored import Held


def held(image_id: str, picture: bytes, *masks: bytes) -> StoredPicture:
    return StoredPicture(image_id, Held(picture), tuple(map(Held, masks)))


def test_images_come_with_their_masks_in_the_order_of_object_ids(tmp_path) -> None:
    folders = Folders(tmp_path)
    masks = [png(np.eye(8, k=shift, dtype=np.bool_)) for shift in (0, 1)]
    write_benchmark(folders, [("b", png(pixels(0, 8, 8)), masks), ("a", png(pixels(1, 8, 8)), [])])
    stored = read_stored(folders)
    assert [one.held() for one in stored] == [held("b", png(pixels(0, 8, 8)), *masks), held("a", png(pixels(1, 8, 8)))]


def test_a_missing_table_is_named(tmp_path) -> None:
    folders = standard_benchmark(tmp_path, height=8, width=8)
    (folders.benchmark / "objects.parquet").unlink()
    with pytest.raises(PruneProofError, match=r"objects\.parquet is missing"):
        read_stored(folders)


def test_an_object_without_a_mask_has_its_box_for_one(tmp_path) -> None:
    folders = Folders(tmp_path)
    boxes = {"a": [(1.0, 2.0, 3.0, 4.0), (2.5, -3.0, 99.0, 2.2)]}
    write_benchmark(folders, [("a", png(pixels(0, 8, 9)), [png(np.eye(8, 9, dtype=np.bool_)), b""])], boxes)
    (stored,) = read_stored(folders)
    first, second = decode(stored).masks
    np.testing.assert_array_equal(first, np.eye(8, 9, dtype=np.bool_))
    expected = np.zeros((8, 9), np.bool_)
    expected[:3, 2:] = True  # what the box touches, inside of the picture
    np.testing.assert_array_equal(second, expected)
    assert decode(stored, 4).masks[1].shape == (4, 4)


def test_a_box_outside_of_the_picture_covers_nothing() -> None:
    stored = StoredPicture("a", Held(png(pixels(0, 8, 8))), ((-5.0, -5.0, -1.0, -1.0), (20.0, 20.0, 30.0, 30.0)))
    assert not any(mask.any() for mask in decode(stored).masks)


def test_a_truncated_mask_is_named_by_its_number() -> None:
    masks = (png(disc(64, 64)), png(disc(64, 64))[:60])
    with pytest.raises(PruneProofError, match="mask 1 cannot be decoded"):
        decode(held("a", png(pixels(0, 64, 64)), *masks))


def test_model_resolution_resizes_the_shorter_side_and_cuts_nothing_off() -> None:
    # 80 x 40: the shorter side goes from 40 to 20, the longer from 80 to 40. The left quarter is red, the centre half
    # green, the right quarter blue.
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, :20, 0], image[:, 20:60, 1], image[:, 60:, 2] = 255, 255, 255
    mask = np.zeros((40, 80), np.bool_)
    mask[:, 30:50] = True
    picture = decode(held("a", png(image), png(mask)), model_pixels=20)
    assert picture.pixels.shape == (20, 40, 3)
    for columns, colour in ((slice(0, 8), 0), (slice(12, 28), 1), (slice(32, 40), 2)):
        assert (picture.pixels[:, columns] == 255 * np.eye(3)[colour]).all()
    expected = np.zeros((20, 40), np.bool_)
    expected[:, 15:25] = True
    np.testing.assert_array_equal(picture.masks[0], expected)


@pytest.mark.slow
def test_model_resolution_equals_clips_preprocessing() -> None:
    from transformers import CLIPImageProcessorPil

    processor = CLIPImageProcessorPil(size={"shortest_edge": 56}, crop_size=56, do_rescale=False, do_normalize=False)
    image = pixels(3, 90, 137)
    expected = np.asarray(processor(Image.fromarray(image))["pixel_values"][0]).transpose(1, 2, 0)
    resized = decode(held("a", png(image)), 56).pixels
    assert resized.shape == (56, 85, 3)
    again = np.asarray(processor(Image.fromarray(resized))["pixel_values"][0]).transpose(1, 2, 0)
    np.testing.assert_allclose(again, expected, atol=1)


def test_a_strip_is_resized_up_to_a_length_and_otherwise_named_with_what_to_do() -> None:
    strip = held("a", png(np.zeros((80, 4, 3), np.uint8)))
    assert decode(strip, model_pixels=400).pixels.shape == (8000, 400, 3)
    with pytest.raises(PruneProofError) as error:
        decode(strip, model_pixels=410)
    assert str(error.value) == (
        "the picture has 4 x 80 pixels, of which `resolution: model` makes 410 x 8200: the longer side may have at "
        "most 8192; crop the picture or leave it out, or set `resolution: native`"
    )


def test_a_picture_of_the_models_size_is_not_touched() -> None:
    stored = held("a", png(pixels()), png(disc()))
    np.testing.assert_array_equal(decode(stored, 224).pixels, pixels())
    np.testing.assert_array_equal(decode(stored, 224).masks[0], disc())
