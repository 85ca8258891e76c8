"""Where LLaVA-NeXT's visual tokens lie: the patches of several crops of one picture, read as one sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import image_processing_utils
from transformers.image_utils import ChannelDimension
from transformers.models.llava_next import modeling_llava_next

from pruneproof.backbones import Shown
from pruneproof.backbones.clip.patch_boxes import Boxes, Size, grid, inside


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
        """What the language model reads when some patches are kept; K means the newline.

        A row's newline stays if at least one of its patches stays, and that of a row that never had one always stays.
        With all patches kept that is the stock sequence, and a row with nothing left costs nothing. A token that stands
        for no patch comes last.

        Args:
            kept: int64 [K] patches, or -1.

        Returns:
            int64 [L] numbers of the kept tokens from 0, row by row, and K after the last one of every row.
        """
        rows = self.rows[kept.clamp(min=0)]
        ended = torch.cat([torch.unique(rows[(rows >= 0) & (kept >= 0)]), self.bare])
        rows = torch.where(kept < 0, len(self.order), rows)
        tokens = torch.cat([torch.arange(len(kept), device=kept.device), kept.new_full((len(ended),), len(kept))])
        return tokens[torch.cat([2 * rows, 2 * ended + 1]).argsort(stable=True)]

    def with_newlines(self, shown: Shown, newline: Tensor) -> tuple[Tensor, Tensor]:
        """What the language model reads of a picture; as of `CausalBase.laid_out`.

        Args:
            shown: kept patches.
            newline: [W] the learned one.
        """
        reading = self.reading(shown.origin)
        order = reading[reading < len(shown.rows)]
        places = torch.empty_like(order)
        places[order] = (reading < len(shown.rows)).nonzero()[:, 0]
        return torch.cat([shown.rows, newline[None]])[reading], places

    def places(self, side: int) -> Tensor:
        """int64 [N, 3] grid, row and column of each patch; the whole picture is grid 0, its tiles are grid 1.

        Args:
            side: of a crop in patches.
        """
        number = torch.arange(len(self.rows), device=self.rows.device)
        base = self.rows < 0
        first = torch.searchsorted(self.rows, self.rows)
        rows = torch.where(base, number // side, self.rows)
        columns = torch.where(base, number % side, number - first)
        return torch.stack([(~base).long(), rows, columns], dim=-1)


def lay_out(size: Size, grids: Sequence[Sequence[int]], crop: int, side: int, device: str) -> Layout:
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
    down, across = _tiles(size, grids, crop)
    patches = torch.arange((1 + down * across) * side**2, device=device)
    base, tiles = patches[: side**2], patches[side**2 :].view(down, across, side, side)
    readable = stock.unpad_image(tiles.transpose(1, 2).reshape(1, down * side, across * side), (height, width))[0]
    rows = torch.arange(len(readable), device=device)
    return Layout(
        torch.cat([base, readable.flatten()]),
        torch.cat([torch.full_like(base, -1), rows.repeat_interleave(readable.shape[1])]),
        rows if readable.shape[1] == 0 else rows[:0],
    )


def patch_places(size: Size, grids: Sequence[Sequence[int]], crop: int, patch: int) -> Boxes:
    """(N, 4) where the patches of a layout lie in the picture.

    The base crop is the whole picture, squeezed into a square. The tiles cut up the picture at the best resolution,
    with its proportions and padding around it. A crop whose side is not a whole number of patches ends in pixels that
    no patch reads.

    Source: transformers `LlavaNextImageProcessor._get_image_patches`.

    Args:
        size: as of `lay_out`.
        grids: as of `lay_out`.
        crop: as of `lay_out`.
        patch: side of a patch in pixels.
    """
    return inside(unclipped_places(size, grids, crop, patch), size)


def unclipped_places(size: Size, grids: Sequence[Sequence[int]], crop: int, patch: int) -> Boxes:
    """`patch_places` with what lies in the padding, outside the picture."""
    stock: Any = image_processing_utils
    width, height = size
    side = crop // patch
    down, across = _tiles(size, grids, crop)
    # An array that takes no memory: only its shape is read.
    shape = np.broadcast_to(np.uint8(0), (1, height, width))
    high, wide = stock.get_patch_output_size(shape, (down * crop, across * crop), ChannelDimension.FIRST)
    by_x, by_y = width / wide, height / high
    left, top = (across * crop - wide) // 2, (down * crop - high) // 2
    read = side * patch
    places = [grid((0, 0, width * read / crop, height * read / crop), side, side)]
    for row in range(down):
        for column in range(across):
            x, y = column * crop - left, row * crop - top
            places.append(grid((x * by_x, y * by_y, (x + read) * by_x, (y + read) * by_y), side, side))
    ordered: Boxes = np.concatenate(places)[lay_out(size, grids, crop, side, "cpu").order.numpy()]
    return ordered


def _tiles(size: Size, grids: Sequence[Sequence[int]], crop: int) -> tuple[int, int]:
    """Rows and columns of tiles."""
    stock: Any = modeling_llava_next
    width, height = size
    down, across = stock.get_anyres_image_grid_shape((height, width), [list(pixels) for pixels in grids], crop)
    return int(down), int(across)
