"""The work of one process: corrupt some images under one condition."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from pruneproof.allocator import keep_freed_memory
from pruneproof.errors import PruneProofError
from pruneproof.perturbations.images import Picture, needs_masks, perturb
from pruneproof.perturbations.images._pictures import StoredPicture, decode
from pruneproof.pictures import encode_png
from pruneproof.records import Condition
from pruneproof.seeds import generator
from pruneproof.stored import Held, NoPictureError

KEPT_BYTES = 64 * 2**20
"""Decoded pictures that a process keeps at most: those of a small study are decoded once for all conditions."""


@dataclass(slots=True)
class Kept:
    """Decoded pictures by what they were decoded from. The first ones stay: all are asked for in the same order again
    and again, so that the one used last is the one needed last."""

    pictures: dict[tuple[object, ...], Picture] = field(default_factory=dict)
    size: int = 0

    def add(self, key: tuple[object, ...], picture: Picture) -> None:
        """Keep a picture if there is room."""
        size = picture.pixels.nbytes + sum(mask.nbytes for mask in picture.masks)
        if self.size + size <= KEPT_BYTES:
            self.pictures[key] = picture
            self.size += size


_kept = Kept()


@dataclass(frozen=True, slots=True)
class Task:
    """Some images, one condition, and all that its outputs depend on."""

    condition: Condition
    pictures: tuple[StoredPicture, ...]
    study_seed: int
    model_pixels: int | None
    """Shorter side that images are resized to beforehand; None corrupts them as stored."""


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
        NoPictureError: if the picture, or a mask that is needed, cannot be decoded, or the picture cannot be perturbed.
        PruneProofError: if the picture, or a mask that is needed, is missing or has changed.
    """
    needed = _needed(stored, condition)
    return _made(condition, needed.image_id, _decoded(needed, model_pixels), study_seed)


def _made(condition: Condition, image_id: str, picture: Picture, study_seed: int) -> bytes:
    _use_one_thread()
    rng = generator(study_seed, image_id, condition.perturbation, condition.severity)
    try:
        return encode_png(perturb(condition.perturbation, picture, condition.severity, rng))
    except PruneProofError as error:
        raise NoPictureError(str(error)) from error


def _needed(stored: StoredPicture, condition: Condition) -> StoredPicture:
    """The picture without the masks that nobody looks at."""
    return stored if needs_masks(condition.perturbation) else replace(stored, masks=())


def _decoded(stored: StoredPicture, model_pixels: int | None) -> Picture:
    held = stored.held()
    try:
        return decode(held, model_pixels)
    except PruneProofError as error:
        raise NoPictureError(str(error)) from error


def _decoded_once(stored: StoredPicture, model_pixels: int | None) -> Picture:
    """The same, kept for the next condition."""
    masks = tuple(mask if isinstance(mask, tuple) else mask.digest for mask in stored.masks)
    key = (stored.picture.digest, masks, model_pixels)
    picture = _kept.pictures.get(key)
    if picture is None:
        picture = _decoded(stored, model_pixels)
        _kept.add(key, picture)
    return picture


def _row(task: Task, stored: StoredPicture) -> Row:
    try:
        picture = _decoded_once(_needed(stored, task.condition), task.model_pixels)
        made = Held(_made(task.condition, stored.image_id, picture, task.study_seed))
    except NoPictureError as error:
        return {"image_id": stored.image_id, "png": None, "sha256": "", "error": str(error)}
    return {"image_id": stored.image_id, "png": made.content, "sha256": made.digest, "error": ""}


def prepare_worker() -> None:
    """For a process that does little else than corrupt pictures: the same large blocks of memory again and again."""
    keep_freed_memory()
    _use_one_thread()


@cache
def _use_one_thread() -> None:
    """For OpenCV: every core has its own worker."""
    import cv2

    cv2.setNumThreads(1)
