"""The work of one process: corrupt some images under one condition."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from pruneproof.errors import PruneProofError
from pruneproof.perturbations.images import perturb
from pruneproof.perturbations.images._pictures import StoredPicture, decode
from pruneproof.pictures import encode_png
from pruneproof.records import Condition
from pruneproof.seeds import generator
from pruneproof.stored import Held, NoPictureError


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
    """Rows of `records.CORRUPTED`, in the order of the task's pictures; a failure becomes a row with its reason.

    Raises:
        PruneProofError: if a picture or a mask is missing or has changed.
    """
    return [_row(task, picture) for picture in task.pictures]


def make(condition: Condition, stored: StoredPicture, study_seed: int, model_pixels: int | None) -> bytes:
    """The PNG of a picture under an image condition, the same wherever and whenever it is made.

    Args:
        condition: the perturbation and its severity.
        stored: the clean picture.
        study_seed: of the study.
        model_pixels: as of `Task`.

    Raises:
        NoPictureError: if the picture or a mask cannot be decoded, or the picture cannot be perturbed.
        PruneProofError: if the picture or a mask is missing or has changed.
    """
    prepare_worker()
    held = stored.held()
    rng = generator(study_seed, stored.image_id, condition.perturbation, condition.severity)
    try:
        return encode_png(perturb(condition.perturbation, decode(held, model_pixels), condition.severity, rng))
    except PruneProofError as error:
        raise NoPictureError(str(error)) from error


def _row(task: Task, stored: StoredPicture) -> Row:
    try:
        made = Held(make(task.condition, stored, task.study_seed, task.model_pixels))
    except NoPictureError as error:
        return {"image_id": stored.image_id, "png": None, "sha256": "", "error": str(error)}
    return {"image_id": stored.image_id, "png": made.content, "sha256": made.digest, "error": ""}


@cache
def prepare_worker() -> None:
    """One thread for OpenCV: every core has its own worker."""
    import cv2

    cv2.setNumThreads(1)
