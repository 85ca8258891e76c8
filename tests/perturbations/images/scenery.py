"""Pictures and benchmark tables for the tests of image perturbations."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from pruneproof.files import write_rows
from pruneproof.folders import Folders
from pruneproof.perturbations.images import Mask, Picture, Pixels
from pruneproof.records import IMAGES, OBJECTS
from pruneproof.settings import Study
from pruneproof.stored import columns


def pixels(number: int = 0, height: int = 224, width: int = 224) -> Pixels:
    """A smooth coloured field with a bright disc: noise, blur and colour changes all show on it."""
    rng = np.random.default_rng(number)
    coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    field = np.array(coarse.resize((width, height), Image.Resampling.BICUBIC))
    field[disc(height, width)] = rng.integers(0, 256, 3)
    return field


def disc(height: int = 224, width: int = 224) -> Mask:
    """A disc around the centre, a quarter of the shorter side in radius."""
    rows, columns = np.ogrid[:height, :width]
    inside: Mask = (rows - height // 2) ** 2 + (columns - width // 2) ** 2 <= (min(height, width) // 4) ** 2
    return inside


def picture(number: int = 0, height: int = 224, width: int = 224) -> Picture:
    """`pixels` with the mask of its disc."""
    return Picture(pixels(number, height, width), (disc(height, width),))


def png(array: Pixels | Mask) -> bytes:
    """The array as a PNG; a mask becomes a 1-bit one."""
    buffer = BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def write_benchmark(
    folders: Folders,
    images: Sequence[tuple[str, bytes, Sequence[bytes]]],
    boxes: Mapping[str, Sequence[tuple[float, float, float, float]]] | None = None,
) -> None:
    """Write `images.parquet` and `objects.parquet` from (image id, encoded image, encoded masks), and from boxes."""
    write_rows(
        folders.benchmark / "images.parquet",
        [{"image_id": name, "group": "", "width": 0, "height": 0, **columns(image)} for name, image, _ in images],
        IMAGES,
    )
    write_rows(
        folders.benchmark / "objects.parquet",
        [
            {"image_id": name, "object_id": number, "noun": "disc", "colour": "red", "mask": mask}
            | dict(
                zip(("x0", "y0", "x1", "y1"), (boxes or {}).get(name, [(0.0,) * 4] * len(masks))[number], strict=True)
            )
            for name, _, masks in images
            for number, mask in enumerate(masks)
        ],
        OBJECTS,
    )


def standard_benchmark(root: Path, count: int = 3, height: int = 224, width: int = 224) -> Folders:
    """A study folder with `count` images of one disc each."""
    folders = Folders(root)
    mask = png(disc(height, width))
    write_benchmark(folders, [(f"image_{n}", png(pixels(n, height, width)), [mask]) for n in range(count)])
    return folders


def study(names: Sequence[str], severities: Sequence[int] = (3,), seed: int = 0, model_pixels: int = 0) -> Study:
    """Settings with these image perturbations; `model_pixels` above 0 asks for the model's resolution."""
    image: dict[str, object] = {"names": tuple(names), "severities": tuple(severities)}
    if model_pixels:
        image |= {"resolution": "model", "model_pixels": model_pixels}
    return Study.model_validate(
        {
            "study": {"name": "tiny", "seed": seed},
            "perturbations": {"image": image},
            "backbones": {},
            "methods": {},
        }
    )


def end_abruptly(task: object) -> list[dict[str, object]]:
    """What a worker does when the system takes it away; here because a spawned worker must be able to import it."""
    os._exit(9)
