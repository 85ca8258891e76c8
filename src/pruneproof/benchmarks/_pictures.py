"""The pictures of a benchmark, looked at once before anything is done with them.

Every picture is decoded whole, one at a time in each worker, so that a damaged one is found here and not after hours;
its size and digest are noted, so that no later stage reads it to know what it is.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pruneproof import machine
from pruneproof.benchmarks import Benchmark
from pruneproof.errors import PruneProofError
from pruneproof.pictures import read_picture
from pruneproof.workers import run_in_order

PICTURES_PER_TASK = 32
"""Pictures that a worker takes at a time; no result depends on it."""
SHORTEST = 8
"""Pixels of the shorter side. Image processors take a picture of 1 or 3 rows for one whose channels come first."""
MOST_STRETCHED = 100
"""Times that the longer side may be the shorter one's: processors enlarge the shorter side to that of the model's input
and cut out the middle, and of a strip 100 times as long that takes a gigabyte."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one picture is."""

    width: int = 0
    """In pixels, upright."""
    height: int = 0
    sha256: str = ""
    """Of its bytes."""
    fault: str = ""
    """Why it cannot be used; empty if it can."""


def looked_at(benchmark: Benchmark, folder: Path, study: Path) -> tuple[Benchmark, tuple[str, ...]]:
    """The benchmark with each picture's size and digest, without those that cannot be used and what is said about them.

    Args:
        benchmark: rows of its images hold `png`, or `file`, a path from `folder`; size may be missing.
        folder: where its authors' files lie.
        study: folder of the study, from which the paths start in the result.

    Returns:
        The benchmark, and one line for each picture that was left out: which one, and why.
    """
    starts = range(0, len(benchmark.images), PICTURES_PER_TASK)
    tasks = (tuple(_place(row, folder) for row in benchmark.images[at : at + PICTURES_PER_TASK]) for at in starts)
    looks = (one for _, part in run_in_order(look, tasks, machine.workers()) for one in part)
    images: list[Mapping[str, Any]] = []
    faults: dict[str, str] = {}
    for row, seen in zip(benchmark.images, looks, strict=True):
        if fault := seen.fault or _size_fault(row, seen):
            faults[row["image_id"]] = f"{_name(row, folder)}: {fault}"
            continue
        file = os.path.relpath(folder / row["file"], study) if row.get("file") else ""
        size = {"width": seen.width, "height": seen.height, "sha256": seen.sha256}
        images.append({**row, **size, "file": file, "png": row.get("png", b"")})
    if not faults:
        return replace(benchmark, images=tuple(images)), ()
    kept = replace(
        benchmark,
        images=tuple(images),
        objects=tuple(row for row in benchmark.objects if row["image_id"] not in faults),
        samples=tuple(sample for sample in benchmark.samples if sample.image_id not in faults),
    )
    return kept, tuple(faults.values())


def look(pictures: Sequence[Path | bytes]) -> list[Look]:
    """What some pictures are, one in memory at a time."""
    return [_look(one) for one in pictures]


def _look(picture: Path | bytes) -> Look:
    try:
        content = picture if isinstance(picture, bytes) else picture.read_bytes()
    except OSError as error:
        return Look(fault=f"cannot be read ({error.strerror}): restore the file")
    try:
        width, height = read_picture(content, "the picture").size
    except PruneProofError as error:
        return Look(fault=str(error))
    if min(width, height) < SHORTEST or max(width, height) > MOST_STRETCHED * min(width, height):
        return Look(
            fault=f"the picture has {width} x {height} pixels: the shorter side needs at least {SHORTEST}, and the "
            f"longer one may have at most {MOST_STRETCHED} times as many; crop it or leave it out"
        )
    return Look(width, height, hashlib.sha256(content).hexdigest())


def _place(row: Mapping[str, Any], folder: Path) -> Path | bytes:
    held: bytes = row.get("png", b"")
    return folder / row["file"] if row.get("file") else held


def _name(row: Mapping[str, Any], folder: Path) -> str:
    return f"{folder / row['file']}" if row.get("file") else f"image {row['image_id']!r}"


def _size_fault(row: Mapping[str, Any], seen: Look) -> str:
    said = row.get("width", seen.width), row.get("height", seen.height)
    if said == (seen.width, seen.height):
        return ""
    return f"the picture has {seen.width} x {seen.height} pixels, not {said[0]} x {said[1]}"
