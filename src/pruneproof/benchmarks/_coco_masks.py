"""COCO's segmentations as masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pruneproof.pictures import Mask


def mask_of(segmentation: Any, width: int, height: int) -> Mask:
    """The pixels of an object, (height, width).

    Args:
        segmentation: polygons, each as `[x, y, x, y, ...]` in pixels, or, for a crowd, lengths of runs
            `{"counts": [...], "size": [height, width]}`, which alternate between outside and inside, column by column.
        width: of the picture.
        height: of the picture.

    Raises:
        ValueError: if it is neither, or not of the picture's size; says what is wrong.
    """
    if isinstance(segmentation, dict):
        return _runs(segmentation, width, height)
    if not isinstance(segmentation, list) or not segmentation:
        raise ValueError("should be a list of polygons, or lengths of runs")
    mask = np.zeros((height, width), np.bool_)
    for polygon in segmentation:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2 or not _numbers(polygon):
            raise ValueError("should hold polygons of three or more points [x, y, x, y, ...]")
        mask |= _inside(np.array(polygon, float).reshape(-1, 2), width, height)
    return mask


def _inside(points: NDArray[np.float64], width: int, height: int) -> Mask:
    """Pixels whose centre lies in a polygon, by the even-odd rule: each edge toggles what lies on its right.

    The official `pycocotools` goes by pixels' centres too, but rounds corners to a fifth of a pixel before.
    """
    toggles = np.zeros((height, width + 1), np.bool_)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        top, bottom = np.ceil(np.clip(sorted((y0, y1)), 0, height) - 0.5).astype(int)
        rows = np.arange(top, bottom)
        if rows.size:
            crossing = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
            toggles[rows, np.ceil(np.clip(crossing, 0, width) - 0.5).astype(int)] ^= True
    mask: Mask = np.logical_xor.accumulate(toggles, axis=1)[:, :width]
    return mask


def _runs(coded: dict[str, Any], width: int, height: int) -> Mask:
    counts, size = coded.get("counts"), coded.get("size")
    if size != [height, width]:
        raise ValueError(f"should have the size [{height}, {width}] of its picture, not {size}")
    if not isinstance(counts, list) or not all(type(count) is int and count >= 0 for count in counts):
        raise ValueError("should hold lengths of runs as a list of whole numbers")
    if sum(counts) != width * height:
        raise ValueError(f"should have runs of {width * height} pixels in all, not {sum(counts)}")
    inside = np.arange(len(counts)) % 2 == 1
    return np.ascontiguousarray(np.repeat(inside, counts).reshape(width, height).T)


def _numbers(values: Sequence[Any]) -> bool:
    return all(type(value) in (int, float) and abs(value) < 1e6 for value in values)
