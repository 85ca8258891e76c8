"""How much disk the rest of a study takes, told before it starts."""

from __future__ import annotations

import shutil
from math import ceil, prod
from pathlib import Path

import numpy as np

from pruneproof import benchmarks, published
from pruneproof.answering.grid import IMAGES_PER_BATCH, conditions
from pruneproof.errors import PruneProofError
from pruneproof.files import read_table
from pruneproof.folders import Folders
from pruneproof.settings import Study

COPIES = 3
"""Of every picture."""
COPIED = f"{COPIES} copies: finished conditions, the stage's output, DVC's cache"
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
    runs = sum(len(study.methods_of(backbone)) for backbone in study.backbones)
    batches = ceil(images / IMAGES_PER_BATCH) * len(grid) * runs
    finished = sum(1 for _ in folders.cells.glob("*/*.cell"))
    left = pictures_needed(study, folders) + max(0, batches - finished) * BATCH_BYTES
    return left if not left and (folders.reports / "report.html").exists() else left + REST_BYTES


def pictures_needed(study: Study, folders: Folders) -> int:
    """Bytes that pictures will still take: drawn ones, and corrupted ones where they are stored."""
    left = 0 if (folders.benchmark / "images.parquet").exists() else 1
    if study.perturbations.image.stored and not (folders.corrupted / "manifest.json").exists():
        left += max(0, _image_conditions(study) - len(_finished(folders)))
    return round(left * _condition_bytes(study, folders))


def corrupted_bytes(study: Study, folders: Folders) -> int:
    """Bytes of all corrupted pictures, made or not; of as many as there would be, where they are not stored."""
    return round(_image_conditions(study) * _condition_bytes(study, folders))


def pictures_told(study: Study, folders: Folders) -> str:
    """How much of the disk is for pictures that are not made yet, and how to spare it."""
    spare = "; `stored: false` in perturbations.image spares corrupted ones" if study.perturbations.image.stored else ""
    return f"of it {size(pictures_needed(study, folders))} for pictures ({COPIED}{spare})"


def _condition_bytes(study: Study, folders: Folders) -> float:
    """Of all pictures under one condition, copies included: as much as finished ones take, or by their pixels."""
    if finished := _finished(folders):
        return COPIES * sum(finished) / len(finished)
    return images_of(study, folders) * picture_pixels(study, folders) * PIXEL_BYTES * COPIES


def _finished(folders: Folders) -> list[int]:
    """Bytes of each finished condition."""
    return [path.stat().st_size for path in (folders.study / "data" / ".corrupted").glob("*.parquet")]


def _image_conditions(study: Study) -> int:
    return sum(condition.family == "image" for condition in conditions(study))


def images_of(study: Study, folders: Folders) -> int:
    """How many pictures the study has: as many as asked for, or all of the benchmark's.

    Raises:
        PruneProofError: if all are asked for, the benchmark's files cannot be read, and how many it has is not known.
    """
    path = folders.benchmark / "images.parquet"
    if path.exists():
        return int(read_table(path, ["width"]).num_rows)
    if study.benchmark.images is not None:
        return study.benchmark.images
    try:
        return len(benchmarks.build(study.benchmark, study.study.seed, folders.study).images)
    except PruneProofError:
        known = published.pictures(study.benchmark)
        if known is None:
            raise
        return known


def picture_pixels(study: Study, folders: Folders) -> float:
    """Pixels of a picture as it is corrupted: the mean of the benchmark's, or, as long as those are not known, as many
    as most of COCO's have or, where they are made smaller and for scenes, those of the vision tower's input."""
    settings, path = study.perturbations.image, folders.benchmark / "images.parquet"
    if not path.exists():
        photographs = settings.resolution == "native" and study.benchmark.name != "scenes"
        return prod(published.PICTURE) if photographs else settings.model_pixels**2
    sizes = read_table(path, ["width", "height"])
    width, height = (sizes[name].to_numpy().astype(float) for name in ("width", "height"))
    areas = width * height
    if settings.resolution == "model":
        areas *= (settings.model_pixels / np.minimum(width, height)) ** 2
    return float(areas.mean()) if len(areas) else 0.0


def free(folder: Path) -> int:
    """Bytes that can still be written where the study lies."""
    return shutil.disk_usage(folder).free


def size(count: int) -> str:
    """Bytes in readable units: `4 kB`, `240 MB`, `3.4 GB`."""
    if count >= 999.5e6:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 999.5e3 else f"{max(count / 1e3, min(count, 1)):.0f} kB"
