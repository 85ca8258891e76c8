"""What LLaVA-OneVision's language model reads of several crops, and where it lies in the picture."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.models.llava_onevision.modeling_llava_onevision import LlavaOnevisionModel, image_size_to_num_patches

from pruneproof.backbones import Shown
from pruneproof.backbones.families._llava_onevision_layout import pack, packed_places

PUBLISHED = [[384 * down, 384 * across] for down in range(1, 7) for across in range(1, 7)]
GRIDS = (
    (384, 27, PUBLISHED, 9),
    (56, 4, [[56 * down, 56 * across] for down in range(1, 4) for across in range(1, 4)], 2),
    (56, 3, [[168, 56], [56, 224]], 2),
)
"""Side of a crop in pixels and in patches, grids, and most tiles."""


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(GRIDS), st.integers(1, 4000), st.integers(1, 4000))
def test_the_packing_is_that_of_the_stock_model(
    grids: tuple[int, int, list[list[int]], int], width: int, height: int
) -> None:
    """Patches carry their number, its square and a random value; newlines carry -1."""
    crop, side, pinpoints, most = grids
    config = SimpleNamespace(
        vision_config=SimpleNamespace(image_size=crop, patch_size=crop // side), image_grid_pinpoints=pinpoints
    )
    crops = image_size_to_num_patches([height, width], pinpoints, crop)
    number = torch.arange(crops * side**2, dtype=torch.float64) / 100
    patches = torch.stack([number, number**2, torch.rand(len(number), dtype=torch.float64)], dim=1)
    newline = torch.full((3,), -1.0, dtype=torch.float64)
    stock, _ = LlavaOnevisionModel.pack_image_features(
        SimpleNamespace(config=config),
        [patches.view(crops, side**2, 3)],
        [[height, width]],
        newline,
        f"anyres_max_{most}",
    )
    packed = pack((width, height), pinpoints, crop, side, most, "cpu")
    rows = torch.stack([packed.packing.pooled(column) for column in patches.T], dim=1)
    shown = Shown(rows, torch.arange(len(rows)), (width, height))
    read, places = packed.lines.with_newlines(shown, newline)
    torch.testing.assert_close(read, stock[0], atol=1e-3, rtol=1e-5)
    assert torch.equal(read[places], rows)
    assert len(packed_places((width, height), pinpoints, crop, crop // side, most)) == packed.packing.count


def test_a_grid_made_smaller_by_hand() -> None:
    """4 x 4 patches that may be two tiles of 2 x 2 at most: the sides shrink by 4 / sqrt(8), to 2."""
    packed = pack((56, 56), [[56, 56]], 28, 2, 2, "cpu")
    assert packed.packing.count == 4 + 4
    assert packed.packing.patches[:4].tolist() == [[i] * 4 for i in range(4)]
    # A place halfway between four patches: those of each tile, numbered 4 to 19 tile by tile.
    assert packed.packing.patches[4:].tolist() == [[4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15], [16, 17, 18, 19]]
    assert packed.packing.weights[4:].tolist() == [[0.25] * 4] * 4
    assert packed.packing.places.tolist() == [
        [grid, row, column] for grid in (0, 1) for row in (0, 1) for column in (0, 1)
    ]
    values = torch.arange(20.0)
    assert packed.packing.pooled(values).tolist() == [0, 1, 2, 3, 5.5, 9.5, 13.5, 17.5]
    boxes = packed_places((56, 56), [[56, 56]], 28, 14, 2)
    quarter = [[0, 0, 28, 28], [28, 0, 56, 28], [0, 28, 28, 56], [28, 28, 56, 56]]
    np.testing.assert_allclose(boxes, quarter * 2)


def test_a_newline_stays_with_its_row_of_mixtures() -> None:
    packed = pack((56, 56), [[56, 56]], 28, 2, 2, "cpu")
    for kept, read in (
        (list(range(8)), [0, 1, 2, 3, 4, 5, -1, 6, 7, -1]),
        ([1, 6], [1, 6, -1]),
        ([0, 3], [0, 3]),
    ):
        rows = torch.tensor(kept, dtype=torch.float32)[:, None]
        shown = Shown(rows, torch.tensor(kept), (56, 56))
        assert packed.lines.with_newlines(shown, torch.tensor([-1.0]))[0][:, 0].tolist() == read
