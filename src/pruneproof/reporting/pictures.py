"""Pictures of the benchmark: reading them, and showing which patches of them were kept."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from pruneproof.errors import PruneProofError

Pixels = npt.NDArray[np.uint8]
SIDE = 224
"""Pixels of a shown picture's side."""


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
    """The centre square of a picture, as the vision tower sees it, `side` x `side` x 3."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    edge = min(image.size)
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    image = image.crop((left, top, left + edge, top + edge))
    if edge != side:
        image = image.resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.uint8)


def square_box(box: Sequence[float], width: int, height: int, side: int = SIDE) -> tuple[float, float, float, float]:
    """A box (x0, y0, x1, y1) of the picture in the coordinates of `square`."""
    edge = min(width, height)
    left, top = (width - edge) // 2, (height - edge) // 2
    x0, y0, x1, y1 = (scaled * side / edge for scaled in (box[0] - left, box[1] - top, box[2] - left, box[3] - top))
    return x0, y0, x1, y1


def fade_dropped(pixels: Pixels, kept: Sequence[int], grid: int) -> Pixels:
    """Fade every patch that was not kept.

    Args:
        pixels: side x side x 3.
        kept: raster indices of the kept patches.
        grid: patches along one side.

    Returns:
        A new array; kept patches are unchanged.
    """
    mask = np.zeros(grid * grid, dtype=bool)
    mask[list(kept)] = True
    side = pixels.shape[0]
    index = np.arange(side) * grid // side
    shown = mask.reshape(grid, grid)[index][:, index]
    grey = pixels.mean(axis=2, keepdims=True).repeat(3, axis=2)
    faded = 0.12 * grey + 0.88 * 248
    return np.where(shown[..., None], pixels, faded).astype(np.uint8)
