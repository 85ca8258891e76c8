"""Where the patches of a vision tower lie in a picture, from the image processor alone, without any weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pruneproof.backbones.checkpoints.loading import read_config, read_processor
from pruneproof.backbones.checkpoints.weights import locate
from pruneproof.errors import PruneProofError
from pruneproof.settings import BackboneSettings

Size: TypeAlias = tuple[int, int]
"""Width and height of a picture in pixels."""
Boxes: TypeAlias = NDArray[np.float64]
"""(N, 4) left, top, right and bottom of each patch in the picture's pixels; a box of no area shows padding only."""
PatchBoxes: TypeAlias = Callable[[Size], Boxes]

LEAST = 1e-3
"""Pixels of the picture that a patch must show along each side, to show any of it."""


def grid(box: tuple[float, float, float, float], rows: int, columns: int) -> Boxes:
    """The equal parts of a box, row by row: (rows * columns, 4)."""
    left, top, right, bottom = box
    x, y = np.linspace(left, right, columns + 1), np.linspace(top, bottom, rows + 1)
    lefts, tops = np.meshgrid(x[:-1], y[:-1])
    rights, bottoms = np.meshgrid(x[1:], y[1:])
    return np.stack([lefts, tops, rights, bottoms], -1).reshape(-1, 4)


def inside(boxes: Boxes, size: Size) -> Boxes:
    """The parts of boxes that lie in the picture; what lies in its padding gets no area."""
    cut = boxes.clip(0, [*size, *size])
    # Where padding ends with a patch, rounding may leave it a sliver of the picture.
    empty = (cut[:, 2:] - cut[:, :2] < LEAST).any(1)
    cut[empty, 2:] = cut[empty, :2]
    return cut


def seen(processor: Any, size: Size) -> tuple[float, float, float, float]:
    """The box of a picture that fills the one square that an image processor makes of it; padding lies outside.

    Source: transformers `TorchvisionBackend.resize` and `center_crop`, `LlavaImageProcessor.pad_to_square`.

    Args:
        processor: an image processor whose `size` gives height and width, or the shortest edge.
        size: of the picture.
    """
    width, height = size
    left = top = 0.0
    if processor.do_pad and hasattr(processor, "pad_to_square"):
        longest = max(size)
        left, top = -float((longest - width) // 2), -float((longest - height) // 2)
        width = height = longest
    across, down = _resized(processor, width, height)
    crop = processor.crop_size if processor.do_center_crop else None
    wide, high = (crop.width, crop.height) if crop else (across, down)
    # Where the crop is larger, the processor pads and these are negative; both are rounded towards zero.
    x, y = int((across - wide) / 2), int((down - high) / 2)
    by_x, by_y = width / across, height / down
    return left + x * by_x, top + y * by_y, left + (x + wide) * by_x, top + (y + high) * by_y


def _resized(processor: Any, width: int, height: int) -> Size:
    if not processor.do_resize:
        return width, height
    if processor.size.shortest_edge is None:
        return processor.size.width, processor.size.height
    edge, shorter = processor.size.shortest_edge, min(width, height)
    return int(edge * width / shorter), int(edge * height / shorter)


def square_patches(settings: BackboneSettings, root: Path, model_type: str) -> PatchBoxes:
    """For families whose vision tower sees one square of a picture.

    Arguments and errors are those of `load_pretrained`; besides, an image processor must make that square in a way that
    is known here.
    """
    source = locate(settings, root)
    vision = read_config(settings, source, model_type).vision_config
    processor = read_processor(settings, source).image_processor
    _require_known(settings, processor)
    side = vision.image_size // vision.patch_size
    read = side * vision.patch_size / vision.image_size

    def boxes(size: Size) -> Boxes:
        left, top, right, bottom = seen(processor, size)
        # A side that is not a whole number of patches ends in pixels that no patch reads.
        whole = left, top, left + read * (right - left), top + read * (bottom - top)
        return inside(grid(whole, side, side), size)

    return boxes


def _require_known(settings: BackboneSettings, processor: Any) -> None:
    """Refuse processors that `seen` would misread: sizes by the longest edge, and padding at the right and below."""
    size = processor.size
    by_edges = size.height is not None and size.width is not None
    by_shortest = size.shortest_edge is not None and size.longest_edge is None
    if (processor.do_resize and not by_edges and not by_shortest) or (
        processor.do_pad and not hasattr(processor, "pad_to_square")
    ):
        raise PruneProofError(
            f"checkpoint {settings.checkpoint!r} has a {type(processor).__name__} with {size} and do_pad "
            f"{processor.do_pad}: the place of its patches is known for height and width or the shortest edge, unpadded"
        )
