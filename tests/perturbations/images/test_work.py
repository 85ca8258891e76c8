"""The worker: the same bytes in this process and in others, in any order and any division of the work."""

from __future__ import annotations

import pytest
from scenery import disc, end_abruptly, pixels, png

from pruneproof.errors import PruneProofError
from pruneproof.perturbations.images import registered
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


def test_a_failure_becomes_a_row_with_its_reason() -> None:
    pictures = (StoredPicture("bad", Held(PICTURES[0].picture.read()[:300])), PICTURES[1])
    bad, good = corrupt(Task(Condition("image", "contrast", 1), pictures, 0, None))
    assert (bad["image_id"], bad["png"]) == ("bad", None)
    assert "cannot be decoded" in bad["error"]
    assert good["png"]
    assert good["error"] == ""
