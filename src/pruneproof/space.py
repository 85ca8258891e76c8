"""How much disk the rest of a study takes, told before it starts."""

from __future__ import annotations

import shutil
from math import ceil
from pathlib import Path

from pruneproof import benchmarks
from pruneproof.answering.grid import IMAGES_PER_BATCH, conditions
from pruneproof.files import read_table
from pruneproof.folders import Folders
from pruneproof.settings import Study

COPIES = 3
"""Of every picture: in the store of finished conditions, in the stage's output, and in DVC's cache."""
PIXEL_BYTES = 1.5
"""Of a PNG, a little more than the mean over the corruptions: 1.3 for drawn scenes and 1.4 for a photograph."""
BATCH_BYTES = 20_000
"""Of a finished batch: a file of one to four disk blocks, and its share of the tables that are made from it."""
REST_BYTES = 200_000_000
"""Figures, tables, the page and MLflow's database."""


def needed(study: Study, folders: Folders) -> int:
    """Bytes that the study will still take, from its settings and what it has made so far. The store of encoded images
    is not counted: PRUNEPROOF_FEATURES_MB bounds it."""
    grid, images = conditions(study), images_of(study, folders)
    pictures = 1 + sum(condition.family == "image" for condition in grid)
    if (folders.corrupted / "manifest.json").exists():
        pictures = 0
    picture = picture_pixels(study, folders) * PIXEL_BYTES * COPIES
    runs = sum(len(study.methods_of(backbone)) for backbone in study.backbones)
    batches = ceil(images / IMAGES_PER_BATCH) * len(grid) * runs
    finished = sum(1 for _ in folders.cells.glob("*/*.cell"))
    return round(images * pictures * picture) + max(0, batches - finished) * BATCH_BYTES + REST_BYTES


def images_of(study: Study, folders: Folders) -> int:
    """How many pictures the study has: as many as asked for, or all of the benchmark's.

    Raises:
        PruneProofError: if all are asked for and the benchmark's files cannot be read.
    """
    if study.benchmark.images is not None:
        return study.benchmark.images
    path = folders.benchmark / "images.parquet"
    if path.exists():
        return int(read_table(path, ["image_id"]).num_rows)
    return len(benchmarks.build(study.benchmark, study.study.seed, folders.study).images)


def picture_pixels(study: Study, folders: Folders) -> float:
    """Pixels of a picture as it is corrupted: the mean of the benchmark's, or, as long as those are not known, those of
    the vision tower's input."""
    settings, path = study.perturbations.image, folders.benchmark / "images.parquet"
    if settings.resolution == "model" or not path.exists():
        return settings.model_pixels**2
    sizes = read_table(path, ["width", "height"]).to_pydict()
    areas = [width * height for width, height in zip(sizes["width"], sizes["height"], strict=True)]
    return float(sum(areas)) / max(1, len(areas))


def free(folder: Path) -> int:
    """Bytes that can still be written where the study lies."""
    return shutil.disk_usage(folder).free


def size(count: int) -> str:
    """Bytes in readable units: `240 MB`, `3.4 GB`."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{ceil(count / 1e6)} MB"
