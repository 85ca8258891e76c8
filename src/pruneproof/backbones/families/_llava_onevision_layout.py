"""How LLaVA-OneVision packs the patches of several crops: LLaVA-NeXT's layout, made smaller where it is too large."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pruneproof.backbones.clip.patch_boxes import Boxes, Size, inside
from pruneproof.backbones.families._llava_next_layout import Layout, lay_out, unclipped_places
from pruneproof.backbones.families._siglip import Packing

SLACK = 1.1
"""How much longer than allowed the sides of the tiles' grid may be before it is made smaller."""


@dataclass(frozen=True, slots=True)
class Packed:
    """The N visual tokens of a picture: the base crop's, then the grid's, row by row."""

    lines: Layout
    """Their rows and newlines; `order` is the patch that each is, or the nearest of those that it is mixed from."""
    packing: Packing


def pack(size: Size, grids: Sequence[Sequence[int]], crop: int, side: int, most: int, device: str) -> Packed:
    """The packing of a picture of some size.

    Source: transformers `LlavaOnevisionModel.pack_image_features`.

    Args:
        size: width and height of the picture in pixels.
        grids: heights and widths in pixels that it may be brought to (`image_grid_pinpoints`), multiples of `crop`.
        crop: side of a crop in pixels.
        side: side of a crop in patches.
        most: tiles' worth of tokens that the grid is made smaller to: 9 of `anyres_max_9`.
        device: of the packing.
    """
    lines = lay_out(size, grids, crop, side, device)
    base, tiles = lines.order[: side**2], lines.order[side**2 :]
    high, wide = _shape(lines)
    smaller = _smaller(high, wide, side, most)
    if smaller is None:
        whole = lines.order[:, None]
        return Packed(lines, Packing(whole, torch.ones(whole.shape, device=device), lines.places(side)))
    rows, across = smaller
    down, of_rows = _taps(high, rows, device)
    right, of_columns = _taps(wide, across, device)
    # [rows, columns, taps down, taps right]
    corners = tiles.view(high, wide)[down[:, None, :, None], right[None, :, None, :]].flatten(2).flatten(0, 1)
    shares = (of_rows[:, None, :, None] * of_columns[None, :, None, :]).flatten(2).flatten(0, 1)
    # The base crop's patches are their own four corners.
    patches = torch.cat([base[:, None].expand(-1, 4), corners])
    weights = torch.cat([torch.tensor([1.0, 0, 0, 0], device=device).expand(len(base), -1), shares])
    nearest = patches.gather(1, weights.argmax(dim=1, keepdim=True))[:, 0]
    numbers = torch.arange(rows, device=device).repeat_interleave(across)
    lines = Layout(nearest, torch.cat([torch.full_like(base, -1), numbers]), lines.bare)
    return Packed(lines, Packing(patches, weights, lines.places(side)))


def packed_places(size: Size, grids: Sequence[Sequence[int]], crop: int, patch: int, most: int) -> Boxes:
    """(N, 4) where the tokens of a packing lie in the picture.

    Those of a grid that was made smaller are its equal cells; bilinear interpolation looks at the four patches around
    the middle of a cell, and so at somewhat more or less than the cell.

    Args:
        size: as of `pack`.
        grids: as of `pack`.
        crop: as of `pack`.
        patch: side of a patch in pixels.
        most: as of `pack`.
    """
    side = crop // patch
    boxes = unclipped_places(size, grids, crop, patch)
    high, wide = _shape(lay_out(size, grids, crop, side, "cpu"))
    smaller = _smaller(high, wide, side, most)
    if smaller is not None:
        tiles = boxes[side**2 :].reshape(high, wide, 4)
        x = _edges(tiles[0, :, 0], tiles[0, -1, 2], smaller[1])
        y = _edges(tiles[:, 0, 1], tiles[-1, 0, 3], smaller[0])
        lefts, tops = np.meshgrid(x[:-1], y[:-1])
        rights, bottoms = np.meshgrid(x[1:], y[1:])
        boxes = np.concatenate([boxes[: side**2], np.stack([lefts, tops, rights, bottoms], -1).reshape(-1, 4)])
    return inside(boxes, size)


def _edges(starts: Boxes, end: float, cells: int) -> Boxes:
    """[cells + 1] edges of equal cells of a row of patches, given where each begins and where the last one ends."""
    patches = len(starts)
    edges: Boxes = np.interp(np.linspace(0, patches, cells + 1), np.arange(patches + 1), [*starts, end])
    return edges


def _shape(lines: Layout) -> tuple[int, int]:
    """Rows and columns of the tiles' grid."""
    rows = lines.rows[lines.rows >= 0]
    high = len(torch.unique(rows))
    return high, len(rows) // high if high else 0


def _smaller(high: int, wide: int, side: int, most: int) -> tuple[int, int] | None:
    """Rows and columns that a grid is brought to; None if it stays."""
    ratio = math.sqrt(high * wide / (most * side**2))
    return (int(high // ratio), int(wide // ratio)) if ratio > SLACK else None


def _taps(given: int, wanted: int, device: str) -> tuple[Tensor, Tensor]:
    """The two of `given` places that each of `wanted` ones is mixed from, int64 [wanted, 2], and their shares.

    Source: PyTorch `aten/src/ATen/native/UpSample.h`, `area_pixel_compute_source_index` without aligned corners.
    """
    middle = ((torch.arange(wanted, device=device) + 0.5) * (given / wanted) - 0.5).clamp(min=0)
    first = middle.long()
    share = middle - first
    return torch.stack([first, (first + 1).clamp(max=given - 1)], dim=1), torch.stack([1 - share, share], dim=1)
