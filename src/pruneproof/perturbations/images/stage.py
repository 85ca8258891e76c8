"""Stage `corrupt_images`: every image of the benchmark under every image condition of the study."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from pruneproof import machine
from pruneproof.errors import PruneProofError
from pruneproof.files import digest, read_rows, sha256, write_json
from pruneproof.folders import Folders
from pruneproof.perturbations.images import perturbation
from pruneproof.perturbations.images._pictures import StoredPicture, read_stored
from pruneproof.perturbations.images._store import Store, fingerprint, publish, versions
from pruneproof.perturbations.images._work import Row, Task, corrupt, prepare_worker
from pruneproof.records import Condition
from pruneproof.settings import ImagePerturbationSettings, Study
from pruneproof.workers import run_in_order

IMAGES_PER_TASK = 10
"""Images that a worker takes at a time; bounds the memory in use, and never changes a byte."""

log = logging.getLogger(__name__)


def run(study: Study, folders: Folders) -> None:
    """Write `<condition_id>.parquet` for every image condition, and `manifest.json`; with `stored: false` in
    `perturbations.image`, where pictures are made when they are asked about, the manifest alone.

    Conditions that are in the store from an earlier or interrupted run are taken from there.

    Raises:
        PruneProofError: if a perturbation is unknown, the benchmark has no images, or one of them has changed.
    """
    settings = study.perturbations.image
    for name in settings.names:
        perturbation(name)
    conditions = image_conditions(settings)
    pictures = read_stored(folders)
    if not pictures:
        raise PruneProofError(
            f"{folders.benchmark / 'images.parquet'} holds no image: set benchmark.images and run `dvc repro`"
        )
    tables = [folders.benchmark / f"{name}.parquet" for name in ("images", "objects")]
    inputs, packages = digest(*(sha256(path).encode() for path in tables)), versions()
    of = inputs if settings.stored else ""
    keys = {c: fingerprint(c, study.study.seed, settings, of, packages) for c in conditions}
    store = Store(folders.study / "data" / ".corrupted")
    files = _stored(study, store, keys, pictures) if settings.stored else {}
    _publish(files, folders.corrupted)
    failed = failures(files)
    manifest = {
        "versions": packages,
        "study_seed": study.study.seed,
        "resolution": settings.resolution,
        "model_pixels": settings.model_pixels if settings.resolution == "model" else None,
        "stored": settings.stored,
        "images": len(pictures),
        "inputs_sha256": inputs,
        "conditions": {
            condition.condition_id: {
                "perturbation": condition.perturbation,
                "severity": condition.severity,
                "fingerprint": key,
                "sha256": store.digest(key) if condition in files else "",
            }
            for condition, key in keys.items()
        },
        "failures": failed,
    }
    write_json(folders.corrupted / "manifest.json", manifest)
    store.keep_only(set(keys.values()))
    _report(failed)


def _stored(
    study: Study, store: Store, keys: Mapping[Condition, str], pictures: Sequence[StoredPicture]
) -> dict[Condition, Path]:
    """Where each condition is, after those that are missing were made."""
    missing = [condition for condition, key in keys.items() if not store.holds(key)]
    for condition, rows in _corrupted(missing, pictures, study, done=len(keys) - len(missing)):
        store.put(keys[condition], rows)
    return {condition: store.path(key) for condition, key in keys.items()}


def image_conditions(settings: ImagePerturbationSettings) -> list[Condition]:
    """All image conditions of a study: every perturbation at every severity, each once."""
    pairs = dict.fromkeys((name, severity) for name in settings.names for severity in settings.severities)
    return [Condition("image", name, severity) for name, severity in pairs]


def failures(files: Mapping[Condition, Path]) -> list[dict[str, Any]]:
    """What could not be made: one entry for each image and reason, with the ids of its conditions."""
    found: dict[tuple[str, str], list[str]] = {}
    for condition, path in files.items():
        for row in read_rows(path, ["image_id", "error"]):
            if row["error"]:
                found.setdefault((row["image_id"], row["error"]), []).append(condition.condition_id)
    return [
        {"image_id": image_id, "error": error, "conditions": conditions}
        for (image_id, error), conditions in sorted(found.items())
    ]


def _corrupted(
    conditions: Sequence[Condition], pictures: Sequence[StoredPicture], study: Study, done: int
) -> Iterator[tuple[Condition, Iterator[Row]]]:
    """Each condition with its rows in the order of the pictures, as they are made: all may not fit in memory."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    settings = study.perturbations.image
    side = settings.model_pixels if settings.resolution == "model" else None
    chunks = [tuple(pictures[i : i + IMAGES_PER_TASK]) for i in range(0, len(pictures), IMAGES_PER_TASK)]
    tasks = (Task(condition, chunk, study.study.seed, side) for condition in conditions for chunk in chunks)
    columns = (TextColumn("corrupting images"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        total = (done + len(conditions)) * len(pictures)
        bar = progress.add_task("", total=total, completed=done * len(pictures))
        progress.live.transient = True  # what is refused before the first picture leaves no empty bar
        results = run_in_order(corrupt, tasks, machine.workers(), prepare_worker)

        def made() -> Iterator[Row]:
            for task, rows in islice(results, len(chunks)):
                yield from rows
                progress.live.transient = False
                progress.advance(bar, len(task.pictures))

        for condition in conditions:
            yield condition, made()


def _publish(files: Mapping[Condition, Path], folder: Path) -> None:
    """Put the conditions into the stage's output and remove those that the study no longer has."""
    targets = {folder / f"{condition.condition_id}.parquet": path for condition, path in files.items()}
    for left_over in set(folder.glob("*.parquet")).difference(targets):
        left_over.unlink()
    for target, source in targets.items():
        publish(source, target)


def _report(found: Sequence[Mapping[str, Any]]) -> None:
    """One warning for each image and reason."""
    for failure in found:
        log.warning("image %s: %s (conditions: %d)", failure["image_id"], failure["error"], len(failure["conditions"]))
