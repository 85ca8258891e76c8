"""The visual tokens that show the object that a question asks about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pruneproof.errors import PruneProofError
from pruneproof.files import read_rows
from pruneproof.folders import Folders
from pruneproof.patches import Boxes, Patches, Size, resized
from pruneproof.pictures import read_mask, with_shorter_side
from pruneproof.scoring.questions import Questions

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

COVERED = 0.1
"""A patch belongs to an object that covers at least this share of what it shows of the picture."""


def mask_coverage(mask: bytes, boxes: Boxes, size: Size) -> Floats:
    """Share of each patch that a mask covers, exact where an edge cuts a pixel.

    Args:
        mask: 1-bit PNG of the picture's size.
        boxes: (N, 4).
        size: width and height of the picture.

    Returns:
        (N) in 0..1; 0 for a patch of no area.

    Raises:
        PruneProofError: if the mask is not an image, or not of the picture's size.
    """
    covered = read_mask(mask, "a mask").astype(float)
    height, width = covered.shape
    if (width, height) != size:
        raise PruneProofError(f"a mask has {width} x {height} pixels, but its picture {size[0]} x {size[1]}")
    sums = np.zeros((height + 1, width + 1))
    sums[1:, 1:] = covered.cumsum(0).cumsum(1)

    def above_left(x: Floats, y: Floats) -> Floats:
        """Area of the mask above and to the left of points: between the corners of a pixel it is bilinear."""
        i, j = x.clip(0, width - 1).astype(int), y.clip(0, height - 1).astype(int)
        u, v = x.clip(0, width) - i, y.clip(0, height) - j
        upper = sums[j, i] * (1 - u) + sums[j, i + 1] * u
        lower = sums[j + 1, i] * (1 - u) + sums[j + 1, i + 1] * u
        area: Floats = upper * (1 - v) + lower * v
        return area

    left, top, right, bottom = boxes.T
    area = above_left(right, bottom) - above_left(left, bottom) - above_left(right, top) + above_left(left, top)
    return _share(area, boxes)


def box_coverage(box: tuple[float, float, float, float], boxes: Boxes) -> Floats:
    """Share of each patch that a box (left, top, right, bottom) covers, for objects without a mask: (N) in 0..1."""
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    return _share((high - low).clip(min=0).prod(1), boxes)


def _share(area: Floats, boxes: Boxes) -> Floats:
    whole = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    share: Floats = np.divide(area, whole, out=np.zeros_like(area), where=whole > 0).clip(0, 1)
    return share


def chosen_patches(coverage: Floats) -> Bools:
    """The patches of one object, (N).

    Those of which it covers at least a tenth, and always the one it covers most, so that a small object on the corner
    of four patches has one. No patch at all if the object lies outside of what the model sees.
    """
    chosen: Bools = (coverage > 0) & ((coverage >= COVERED) | (coverage == coverage.max(initial=0)))
    return chosen


def target_patches(folders: Folders, questions: Questions, patches: Patches, side: int | None = None) -> Bools:
    """Patches of each sample's asked objects.

    Args:
        folders: of the study.
        questions: the benchmark.
        patches: of the backbone.
        side: the shorter one in pixels, where the model is shown pictures that were resized to it.

    Returns:
        (S, N) with the N of the picture that has the most patches. All False where no object is asked for, or where
        it is absent.

    Raises:
        PruneProofError: if a sample asks for an object that `objects.parquet` lacks, if a mask there cannot be used, or
            if the patches lack a picture's size.
    """
    result = np.zeros((len(questions.kind), patches.most), bool)
    image_ids = questions.table["image_id"].to_pylist()
    targets = questions.table["target_objects"].to_pylist()
    wanted = {(image_id, target) for image_id, asked in zip(image_ids, targets, strict=True) for target in asked}
    if not wanted:
        return result
    sizes = {
        row["image_id"]: (row["width"], row["height"])
        for row in read_rows(folders.benchmark / "images.parquet", ("image_id", "width", "height"))
    }
    found: dict[tuple[str, int], Bools] = {}
    for row in read_rows(folders.benchmark / "objects.parquet"):
        key = (row["image_id"], row["object_id"])
        if key in wanted:
            found[key] = chosen_patches(_coverage(row, patches, sizes[row["image_id"]], side))
    if missing := sorted(wanted - found.keys()):
        raise PruneProofError(f"objects.parquet lacks object {missing[0][1]} of image {missing[0][0]}: run `dvc repro`")
    for sample, (image_id, asked) in enumerate(zip(image_ids, targets, strict=True)):
        for target in asked:
            chosen = found[image_id, target]
            result[sample, : len(chosen)] |= chosen
    return result


def _coverage(row: Mapping[str, Any], patches: Patches, size: Size, side: int | None) -> Floats:
    shown = size if side is None else with_shorter_side(size, side)
    boxes = resized(patches.of(shown), shown, size)
    if not row["mask"]:
        return box_coverage((row["x0"], row["y0"], row["x1"], row["y1"]), boxes)
    try:
        return mask_coverage(row["mask"], boxes, size)
    except PruneProofError as error:
        where = f"objects.parquet, object {row['object_id']} of image {row['image_id']}"
        raise PruneProofError(f"{where}: {error}; run `dvc repro --force draw_scenes`") from None
