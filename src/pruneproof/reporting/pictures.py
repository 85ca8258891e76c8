"""Pictures of the benchmark: reading them, and showing which patches of them were kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from pruneproof.errors import PruneProofError
from pruneproof.patches import Boxes, Size
from pruneproof.pictures import Pixels, read_picture

SIDE = 224
"""Pixels of a shown picture's longer side."""


def read_where(
    path: Path, column: str, values: Sequence[str], columns: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """The rows of a Parquet file whose `column` is one of `values`, without reading the others into Python.

    Raises:
        PruneProofError: if the file is missing, truncated or lacks a column.
    """
    try:
        table = pq.read_table(
            path, columns=list(columns) if columns else None, filters=pc.field(column).isin(list(values))
        )
    except FileNotFoundError:
        raise PruneProofError(f"{path} is missing: run the stage that writes it (`dvc repro`)") from None
    except (pa.ArrowException, OSError) as error:
        first = str(error).splitlines()[0]
        raise PruneProofError(f"{path} cannot be read ({first}): delete it and run `dvc repro`") from None
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def square(png: bytes, side: int = SIDE) -> Pixels:
    """The centre square of a picture, `side` x `side` x 3."""
    image = read_picture(png)
    edge = min(image.size)
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    image = image.crop((left, top, left + edge, top + edge))
    if edge != side:
        image = image.resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.uint8)


def whole(png: bytes, side: int = SIDE) -> tuple[Pixels, Size]:
    """A picture whose longer side is resized to `side` pixels, (height, width, 3), and the width and height it had."""
    image = read_picture(png)
    size, longest = image.size, max(image.size)
    if longest != side:
        shape = round(size[0] * side / longest), round(size[1] * side / longest)
        image = image.resize((max(1, shape[0]), max(1, shape[1])), Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.uint8), size


def fade_dropped(pixels: Pixels, boxes: Boxes) -> Pixels:
    """Fade everything that no kept patch shows.

    Args:
        pixels: (height, width, 3).
        boxes: (K, 4) left, top, right, bottom of the kept patches in these pixels.

    Returns:
        A new array; what kept patches show is unchanged.
    """
    shown = np.zeros(pixels.shape[:2], dtype=bool)
    for left, top, right, bottom in boxes.round().astype(int):
        shown[top:bottom, left:right] = True
    grey = pixels.mean(axis=2, keepdims=True).repeat(3, axis=2)
    faded = 0.12 * grey + 0.88 * 248
    return np.where(shown[..., None], pixels, faded).astype(np.uint8)
