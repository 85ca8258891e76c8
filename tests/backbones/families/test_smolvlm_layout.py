"""How SmolVLM cuts pictures, which patches a visual token is made of, and where it stands in prompt and picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import SmolVLMImageProcessor
from transformers.models.smolvlm.modeling_smolvlm import SmolVLMConnector

from pruneproof.backbones import Shown
from pruneproof.backbones.families._smolvlm_layout import block_places, blocks, cut, splits

UNEVEN: Any = SmolVLMImageProcessor(size={"longest_edge": 40}, max_image_size={"longest_edge": 16})
PROCESSORS: dict[str, Any] = {
    "cut": SmolVLMImageProcessor(size={"longest_edge": 48}, max_image_size={"longest_edge": 16}),
    "uneven": UNEVEN,
    "whole": SmolVLMImageProcessor(do_image_splitting=False, max_image_size={"longest_edge": 16}),
    "as it is": SmolVLMImageProcessor(do_resize=False, max_image_size={"longest_edge": 16}),
    "stretched": SmolVLMImageProcessor(size={"height": 20, "width": 40}, max_image_size={"longest_edge": 16}),
}


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(list(PROCESSORS)), st.integers(1, 90), st.integers(1, 90))
def test_pictures_are_cut_as_the_image_processor_cuts_them(name: str, width: int, height: int) -> None:
    processor = PROCESSORS[name]
    picture = torch.zeros(3, height, width, dtype=torch.uint8)
    found = processor(images=[[picture]], return_tensors="pt", return_row_col_info=True)
    down, across = splits(processor, (width, height))
    assert (down, across) == (found["rows"][0][0], found["cols"][0][0])
    assert found.pixel_values.shape[1:] == (down * across + 1, 3, 16, 16)
    assert bool(found.pixel_attention_mask.all()), "no crop is padded"


def test_the_processors_own_count_is_not_what_it_does() -> None:
    """Why `splits` does not ask it: 40 x 16 pixels become 48 x 19, and so 2 rows of 3, where it counts 1 row."""
    assert splits(UNEVEN, (40, 16)) == (2, 3)
    assert UNEVEN.get_number_of_image_patches(16, 40)[1:] == (1, 3)


def test_a_token_is_a_block_of_patches_as_pixel_shuffle_joins_them() -> None:
    for side, scale in ((4, 2), (6, 3), (8, 4), (3, 1)):
        patches = torch.randn(3, side**2, 5)
        expected = SmolVLMConnector.pixel_shuffle(None, patches, scale)  # type: ignore[arg-type]
        packing = blocks(3, side, scale, "cpu")
        assert torch.equal(packing.gathered(patches.flatten(0, 1)), expected.flatten(0, 1))
        values = torch.rand(3, side, side)
        pooled = torch.nn.functional.avg_pool2d(values, scale)
        torch.testing.assert_close(packing.pooled(values.flatten()), pooled.flatten())
    places = [[crop, row, column] for crop in (0, 1) for row in (0, 1) for column in (0, 1)]
    assert blocks(2, 4, 2, "cpu").places.tolist() == places


def test_text_stays_where_it_stands() -> None:
    """By hand: two crops of two tokens each, as `a I I b I I c`; I is 9."""
    sequence = cut([1, 9, 9, 2, 9, 9, 3], 9, "cpu")
    text = torch.tensor([[1.0], [2.0], [3.0]])
    for kept, read, places in (
        ([0, 1, 2, 3], [1, 10, 11, 2, 12, 13, 3], [1, 2, 4, 5]),
        ([1, 3], [1, 11, 2, 13, 3], [1, 3]),
        ([2], [1, 2, 12, 3], [2]),
        ([3, 0], [1, 10, 2, 13, 3], [3, 1]),
        ([-1, 0], [1, 10, 2, 9, 3], [3, 1]),
    ):
        shown = Shown(torch.tensor(kept, dtype=torch.float32)[:, None] + 10, torch.tensor(kept), (1, 1))
        rows, found = sequence.laid_out(shown, text)
        assert (rows[:, 0].tolist(), found.tolist()) == (read, places)
        assert torch.equal(rows[found], shown.rows)


@pytest.mark.parametrize(("crop", "patch", "read"), [(16, 8, 1.0), (20, 7, 0.7)])
def test_boxes_by_hand(crop: int, patch: int, read: float) -> None:
    """60 x 30 pixels on a row of two sub-images, then as a whole; patches read all of a crop, or 14 of 20 pixels."""
    boxes = block_places((60, 30), 1, 2, crop, patch, 1)
    high, corners = 15 * read, [(x, y) for y in (0, 1) for x in (0, 1)]
    tiles = [[left + x * high, y * high, left + (x + 1) * high, (y + 1) * high] for left in (0, 30) for x, y in corners]
    whole = [[x * 30 * read, y * high, (x + 1) * 30 * read, (y + 1) * high] for x, y in corners]
    np.testing.assert_allclose(boxes, tiles + whole)
    np.testing.assert_allclose(block_places((60, 30), 0, 0, crop, patch, 2), [[0, 0, 60 * read, 30 * read]])
