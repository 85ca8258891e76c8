"""The worker: the same bytes in this process and in others, in any order and any division of the work."""

from __future__ import annotations

import pytest
from scenery import disc, end_abruptly, pixels, png

from pruneproof.errors import PruneProofError
from pruneproof.perturbations.images import Picture, _work, registered
from pruneproof.perturbations.images._pictures import StoredPicture
from pruneproof.perturbations.images._work import Task, corrupt, prepare_worker
from pruneproof.records import Condition
from pruneproof.stored import Held
from pruneproof.workers import run_in_order

PICTURES = tuple(
    StoredPicture(f"image_{n}", Held(png(pixels(n, 96, 96))), (Held(png(disc(96, 96))),)) for n in range(2)
)


def tasks(severity: int, size: int) -> list[Task]:
    """Every perturbation on all pictures, `size` pictures to a task."""
    return [
        Task(Condition("image", name, severity), PICTURES[i : i + size], study_seed=5, model_pixels=None)
        for name in registered()
        for i in range(0, len(PICTURES), size)
    ]


def outputs(work: list[Task], workers: int) -> dict[tuple[str, str], bytes]:
    return {
        (task.condition.perturbation, row["image_id"]): row["png"]
        for task, rows in run_in_order(corrupt, work, workers, prepare_worker)
        for row in rows
    }


def test_all_perturbations_give_the_same_bytes_in_other_processes_and_another_order() -> None:
    here = outputs(tasks(severity=3, size=1), workers=1)
    assert len(here) == len(registered()) * 2
    assert all(here.values())
    there = outputs(tasks(severity=3, size=2)[::-1], workers=2)
    assert there == here
    assert list(dict.fromkeys(name for name, _ in there)) == list(registered())[::-1]


@pytest.mark.parametrize("change", ["image_id", "study_seed", "severity"])
def test_noise_differs_between_images_seeds_and_severities(change: str) -> None:
    base = Task(Condition("image", "gaussian_noise", 2), PICTURES[:1], study_seed=5, model_pixels=None)
    other = {
        "image_id": Task(base.condition, (StoredPicture("other", PICTURES[0].picture),), 5, None),
        "study_seed": Task(base.condition, base.pictures, 6, None),
        "severity": Task(Condition("image", "gaussian_noise", 3), base.pictures, 5, None),
    }[change]
    assert corrupt(base)[0]["png"] != corrupt(other)[0]["png"]


def test_a_worker_that_the_system_ends_is_reported_in_one_line() -> None:
    work = [Task(Condition("image", "pixelate", 1), PICTURES, 0, None)] * 2
    with pytest.raises(PruneProofError, match="run again with a smaller PRUNEPROOF_WORKERS"):
        list(run_in_order(end_abruptly, work, workers=2))


class Watched:
    """A picture or mask that counts how often it is read."""

    def __init__(self, content: bytes) -> None:
        self.held, self.reads = Held(content), 0

    @property
    def digest(self) -> str:
        return self.held.digest

    def read(self) -> bytes:
        self.reads += 1
        return self.held.read()


def test_a_picture_is_read_once_for_all_conditions_and_its_masks_only_for_those_that_look_at_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_work, "_kept", _work.Kept())
    picture, mask = Watched(png(pixels(7, 64, 64))), Watched(png(disc(64, 64)))
    stored = (StoredPicture("watched", picture, (mask,)),)
    for name in ("contrast", "occlusion_random", "fog", "pixel_shift"):
        assert corrupt(Task(Condition("image", name, 2), stored, 0, None))[0]["png"]
    assert (picture.reads, mask.reads) == (1, 0)
    assert corrupt(Task(Condition("image", "occlusion_object", 2), stored, 0, None))[0]["png"]
    assert (picture.reads, mask.reads) == (2, 1)


def test_no_more_pictures_are_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_work, "KEPT_BYTES", 2 * 64 * 64 * 3)
    kept = _work.Kept()
    for number in range(4):
        kept.add((number,), Picture(pixels(number, 64, 64)))
    assert list(kept.pictures) == [(0,), (1,)]
    assert kept.size == 2 * 64 * 64 * 3


def test_a_damaged_mask_costs_only_what_looks_at_it() -> None:
    stored = (StoredPicture("cut", PICTURES[0].picture, (Held(png(disc(96, 96))[:60]),)),)
    assert corrupt(Task(Condition("image", "contrast", 1), stored, 0, None))[0]["error"] == ""
    assert (
        "mask 0 cannot be decoded"
        in corrupt(Task(Condition("image", "occlusion_object", 1), stored, 0, None))[0]["error"]
    )


def test_a_failure_becomes_a_row_with_its_reason() -> None:
    pictures = (StoredPicture("bad", Held(PICTURES[0].picture.read()[:300])), PICTURES[1])
    bad, good = corrupt(Task(Condition("image", "contrast", 1), pictures, 0, None))
    assert (bad["image_id"], bad["png"]) == ("bad", None)
    assert "cannot be decoded" in bad["error"]
    assert good["png"]
    assert good["error"] == ""
