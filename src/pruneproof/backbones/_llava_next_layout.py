"""Where LLaVA-NeXT's visual tokens lie: the patches of several crops of one picture, read as one sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.models.llava_next import modeling_llava_next


@dataclass(frozen=True, slots=True)
class Layout:
    """The N patches of a picture that the language model can read: the base crop's, then the grid's, row by row."""

    order: Tensor
    """int64 [N] their numbers among the patches of all crops, crop by crop."""
    rows: Tensor
    """int64 [N] row of the grid that each lies in; -1 in the base crop, which has no newlines."""
    bare: Tensor
    """int64 [B] rows without any patch: all of them, where the picture is narrower than a patch, else none."""

    def reading(self, kept: Tensor) -> Tensor:
        """What the language model reads when some patches are kept; N stands for the newline.

        A row's newline stays if at least one of its patches stays, and that of a row that never had one always stays.
        So all patches kept is the stock sequence, and a row of which nothing is left costs nothing.

        Args:
            kept: int64 [K] patches, ascending.

        Returns:
            int64 [L] the kept patches, and N behind the last one of every row.
        """
        rows = self.rows[kept]
        ended = torch.cat([torch.unique(rows[rows >= 0]), self.bare])
        tokens = torch.cat([kept, kept.new_full((len(ended),), len(self.order))])
        return tokens[torch.cat([2 * rows, 2 * ended + 1]).argsort(stable=True)]


def lay_out(size: tuple[int, int], grids: Sequence[Sequence[int]], crop: int, side: int, device: str) -> Layout:
    """The layout of a picture of some size.

    The picture is cut at the best of the grids into tiles of the crop's size, and the rows or columns of patches that
    show padding only are left out.

    Source: transformers `LlavaNextModel.pack_image_features`.

    Args:
        size: width and height of the picture in pixels.
        grids: heights and widths in pixels that it may be brought to (`image_grid_pinpoints`), multiples of `crop`.
        crop: side of a crop in pixels.
        side: side of a crop in patches.
        device: of the layout.
    """
    stock: Any = modeling_llava_next
    width, height = size
    down, across = stock.get_anyres_image_grid_shape((height, width), [list(grid) for grid in grids], crop)
    patches = torch.arange((1 + down * across) * side**2, device=device)
    base, tiles = patches[: side**2], patches[side**2 :].view(down, across, side, side)
    grid = stock.unpad_image(tiles.transpose(1, 2).reshape(1, down * side, across * side), (height, width))[0]
    rows = torch.arange(len(grid), device=device)
    return Layout(
        torch.cat([base, grid.flatten()]),
        torch.cat([torch.full_like(base, -1), rows.repeat_interleave(grid.shape[1])]),
        rows if grid.shape[1] == 0 else rows[:0],
    )
