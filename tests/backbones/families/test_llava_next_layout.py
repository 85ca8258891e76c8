"""Where LLaVA-NeXT's visual tokens lie, in the sequence and in the picture."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from tests.backbones._llava_next_checkpoint import GRIDS, SIDE
from tests.conftest import PIXELS
from transformers.models.llava_next.modeling_llava_next import LlavaNextModel, image_size_to_num_patches

from pruneproof.backbones.families._llava_next_layout import lay_out, patch_places


def test_the_layout_is_that_of_the_stock_model() -> None:
    """The stock function packs patches that carry their numbers: the order, and where newlines stand, must agree."""
    rng = np.random.default_rng(0)
    published = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
    ragged = set()
    for crop, side, grids in ((336, 24, published), (PIXELS, SIDE, GRIDS), (56, 4, [[112, 168], [56, 56], [224, 112]])):
        config = SimpleNamespace(
            vision_config=SimpleNamespace(image_size=crop, patch_size=crop // side), image_grid_pinpoints=grids
        )
        for width, height in (*rng.integers(1, 900, (40, 2)).tolist(), (2, 400), (400, 2)):
            layout = lay_out((width, height), grids, crop, side, "cpu")
            crops = image_size_to_num_patches([height, width], grids, crop)
            patches = torch.arange(crops * side**2, dtype=torch.float32).view(crops, side**2, 1)
            packed, _ = LlavaNextModel.pack_image_features(
                SimpleNamespace(config=config), [patches], [[height, width]], "default", torch.tensor([-1.0])
            )
            count = len(layout.order)
            numbers = torch.cat([layout.order.float(), torch.tensor([-1.0])])
            found = numbers[layout.reading(torch.arange(count))]
            assert torch.equal(found, packed[0][:, 0]), (width, height, grids)
            ragged.add(count)
    assert len(ragged) > 30, "the pictures must be laid out in many ways"


def test_a_newline_stays_with_its_row() -> None:
    """By hand: crops of 2 x 2 patches, 40 x 20 pixels in a grid of 1 x 2 tiles, so 4 of the base and 2 rows of 4."""
    layout = lay_out((40, 20), [[28, 56]], 28, 2, "cpu")
    assert layout.order.tolist() == [0, 1, 2, 3, 4, 5, 8, 9, 6, 7, 10, 11]
    assert layout.rows.tolist() == [-1] * 4 + [0] * 4 + [1] * 4
    newline = 12
    for kept, read in (
        (list(range(12)), [0, 1, 2, 3, 4, 5, 6, 7, newline, 8, 9, 10, 11, newline]),
        ([1, 5, 7, 11], [1, 5, 7, newline, 11, newline]),
        ([0, 3, 8], [0, 3, 8, newline]),
        ([4], [4, newline]),
        ([2, 3], [2, 3]),
    ):
        numbers = torch.tensor([*kept, newline])
        assert numbers[layout.reading(torch.tensor(kept))].tolist() == read


def test_a_token_that_is_no_patch_comes_last_and_has_no_newline() -> None:
    layout = lay_out((40, 20), [[28, 56]], 28, 2, "cpu")
    assert layout.reading(torch.tensor([-1, 1, 5])).tolist() == [1, 2, 3, 0]


def test_places_by_hand() -> None:
    """40 x 20 pixels: the base crop of 2 x 2 patches, then two tiles side by side."""
    base = [[0, row, column] for row in range(2) for column in range(2)]
    tiles = [[1, row, column] for row in range(2) for column in range(4)]
    assert lay_out((40, 20), [[28, 56]], 28, 2, "cpu").places(2).tolist() == base + tiles


def test_boxes_of_tiles_by_hand() -> None:
    """40 x 20 pixels, once squeezed to 28 x 28 and once as 56 x 28 on two tiles, in patches of 14."""
    boxes = patch_places((40, 20), [[28, 56]], 28, 14)
    base = [[0, 0, 20, 10], [20, 0, 40, 10], [0, 10, 20, 20], [20, 10, 40, 20]]
    tiles = [[x, y, x + 10, y + 10] for y in (0, 10) for x in (0, 10, 20, 30)]
    np.testing.assert_allclose(boxes, base + tiles)


def test_pixels_after_the_last_whole_patch_of_a_crop_are_in_no_box() -> None:
    """80 x 40 pixels on two tiles of 40, each with 2 x 2 patches of 16: 8 pixels of a tile are not read."""
    boxes = patch_places((80, 40), [[40, 80]], 40, 16)
    base = [[x, y, x + 32, y + 16] for y in (0, 16) for x in (0, 32)]
    tiles = [[x, y, x + 16, y + 16] for y in (0, 16) for x in (0, 16, 40, 56)]
    np.testing.assert_allclose(boxes, base + tiles)
