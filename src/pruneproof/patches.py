"""Where the visual tokens of a backbone lie in pictures, as the stage `locate_patches` leaves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pruneproof.errors import PruneProofError
from pruneproof.files import read_table

Size: TypeAlias = tuple[int, int]
"""Width and height of a picture in pixels."""
Boxes: TypeAlias = NDArray[np.float64]
"""(K, 4) left, top, right and bottom in pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """The boxes of one backbone's patches, in the order of its visual tokens."""

    path: Path
    boxes: Mapping[Size, Boxes]
    """By the size of the picture."""

    @property
    def most(self) -> int:
        """Number of patches of the picture that has the most."""
        return max(map(len, self.boxes.values()), default=0)

    def of(self, size: Size) -> Boxes:
        """The patches of a picture, in its pixels.

        Raises:
            PruneProofError: if the stage saw no picture of that size.
        """
        if size not in self.boxes:
            raise PruneProofError(
                f"{self.path} has no boxes for pictures of {size[0]} x {size[1]} pixels: delete it and run `dvc repro`"
            )
        return self.boxes[size]


def read_patches(path: Path) -> Patches:
    """Read `patches/<backbone>.parquet`.

    Raises:
        PruneProofError: if the file is missing or damaged.
    """
    table = read_table(path, ("width", "height", "boxes"))
    sizes = zip(table["width"].to_pylist(), table["height"].to_pylist(), strict=True)
    boxes = (row.values.to_numpy().astype(float).reshape(-1, 4) for row in table["boxes"])
    return Patches(path, dict(zip(sizes, boxes, strict=True)))


def resized(boxes: Boxes, size: Size, other: Size) -> Boxes:
    """Boxes of a picture of one size as those of the same picture at another."""
    across, down = other[0] / size[0], other[1] / size[1]
    found: Boxes = boxes * np.array([across, down, across, down])
    return found
