"""What pruning kept: the asked object's patches, and the same tokens as on clean input."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from math import isqrt

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from pruneproof.errors import PruneProofError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

COVERED = 0.1
"""A patch belongs to an object that covers at least this share of it."""

_CHUNK = 16_384
"""Answers turned into bits at a time, which bounds memory."""


def grid_side(tokens: int) -> int | None:
    """Side of the square patch grid of that many tokens; None if they do not form a square."""
    side = isqrt(tokens)
    return side if side > 0 and side * side == tokens else None


def view(width: float, height: float) -> tuple[float, float, float, float]:
    """What the model sees of an image: its central square (left, top, right, bottom), in pixels.

    Resizing the shorter side to the tower's input and cropping the centre, as CLIP's preprocessing and the resolution
    policy `model` both do, shows exactly this square whatever the final size.
    """
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def mask_coverage(mask: bytes, side: int) -> Floats:
    """Share of each patch that a mask covers.

    Args:
        mask: 1-bit PNG of the image's size.
        side: patches along each side of the model's view.

    Returns:
        (side, side) in 0..1, exact area averages.

    Raises:
        PruneProofError: if the mask is not an image.
    """
    try:
        picture = Image.open(BytesIO(mask)).convert("L").convert("F")
    except OSError as error:
        raise PruneProofError(f"objects.parquet: a mask is not a PNG ({error}); run `dvc repro draw_scenes`") from None
    small = picture.resize((side, side), Image.Resampling.BOX, box=view(*picture.size))
    coverage: Floats = np.asarray(small, float) / 255
    return coverage


def box_coverage(box: Sequence[float], width: float, height: float, side: int) -> Floats:
    """Share of each patch that a box (x0, y0, x1, y1 in pixels) covers, for objects without a mask: (side, side)."""
    left, top, right, _ = view(width, height)
    edges = np.arange(side + 1) * (right - left) / side

    def along(low: float, high: float) -> Floats:
        overlap: Floats = np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)
        share: Floats = overlap.clip(min=0) / edges[1]
        return share

    coverage: Floats = np.outer(along(box[1] - top, box[3] - top), along(box[0] - left, box[2] - left))
    return coverage


def patches(coverage: Floats) -> Bools:
    """The patches of one object, (side * side) in raster order.

    Those of which it covers at least a tenth, and always the one it covers most, so that a small object on the corner
    of four patches has one. No patch at all if the object lies outside the model's view.
    """
    share = coverage.ravel()
    chosen: Bools = (share > 0) & ((share >= COVERED) | (share == share.max()))
    return chosen


def kept_bits(kept: pa.ListArray, tokens: int) -> Bools:
    """Kept token indices as bits, (rows, tokens).

    Raises:
        PruneProofError: if an index is not in 0..tokens-1.
    """
    bits = np.zeros((len(kept), tokens), bool)
    for start in range(0, len(kept), _CHUNK):
        part = kept.slice(start, _CHUNK)
        index = part.flatten().to_numpy()
        if index.size and (index.min() < 0 or index.max() >= tokens):
            raise PruneProofError(
                f"kept tokens reach from {index.min()} to {index.max()}, but the baseline has {tokens} tokens; "
                "answer again with `dvc repro answer_questions`"
            )
        length = part.value_lengths().to_numpy()
        bits[start + np.repeat(np.arange(len(part)), length), index] = True
    return bits


def share_kept(kept: Bools, target: Bools) -> Floats:
    """Share of a target's patches that were kept; nan where there is no target or nothing is known of what was kept.

    Args:
        kept: (rows, tokens).
        target: (rows, tokens).

    Returns:
        (rows) in 0..1.
    """
    return _share(kept & target, target & kept.any(-1, keepdims=True))


def jaccard(one: Bools, other: Bools) -> Floats:
    """Size of the intersection over size of the union of each row, (rows) in 0..1; nan for two empty rows."""
    return _share(one & other, one | other)


def _share(part: Bools, whole: Bools) -> Floats:
    size = whole.sum(-1)
    return np.where(size > 0, part.sum(-1) / np.maximum(size, 1), np.nan)
