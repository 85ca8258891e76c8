"""The work of one process: corrupt some images under one condition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pruneproof.errors import PruneProofError
from pruneproof.perturbations.images import perturb
from pruneproof.perturbations.images._pictures import StoredPicture, decode
from pruneproof.pictures import encode_png
from pruneproof.records import Condition
from pruneproof.seeds import generator


@dataclass(frozen=True, slots=True)
class Task:
    """Some images, one condition, and all that its outputs depend on."""

    condition: Condition
    pictures: tuple[StoredPicture, ...]
    study_seed: int
    model_pixels: int | None
    """Side of the square that images are resized and cropped to beforehand; None corrupts them as stored."""


Row = dict[str, Any]


def corrupt(task: Task) -> list[Row]:
    """Rows of `records.CORRUPTED`, in the order of the task's pictures; a failure becomes a row with its reason."""
    return [_row(task, picture) for picture in task.pictures]


def _row(task: Task, stored: StoredPicture) -> Row:
    name, severity = task.condition.perturbation, task.condition.severity
    rng = generator(task.study_seed, stored.image_id, name, severity)
    try:
        png = encode_png(perturb(name, decode(stored, task.model_pixels), severity, rng))
    except PruneProofError as error:
        return {"image_id": stored.image_id, "png": None, "error": str(error)}
    return {"image_id": stored.image_id, "png": png, "error": ""}


def prepare_worker() -> None:
    """One thread for OpenCV: every core has its own worker."""
    import cv2

    cv2.setNumThreads(1)
