"""`plan`: the cells of a study, what is done, how long the rest takes, and what difference so many images can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

import numpy as np

from pruneproof import benchmarks, machine, pipeline, published, space
from pruneproof.answering import manifest
from pruneproof.answering.grid import IMAGES_PER_BATCH, conditions
from pruneproof.answering.stage import cells_of
from pruneproof.answering.store import Store
from pruneproof.digests import remembered
from pruneproof.errors import PruneProofError
from pruneproof.files import read_rows
from pruneproof.folders import Folders, make_command
from pruneproof.plurals import number_of
from pruneproof.reading_sizes import resolution_notes
from pruneproof.records import Condition, Sample, sample_from_row
from pruneproof.scoring.statistics import detectable_difference
from pruneproof.settings import Study
from pruneproof.study import load_study

MUCH_LARGER = 1.5
"""How many times larger than the model's input pictures typically are when native corruptions become too mild."""

LOOK_AHEAD_IMAGES = 8
"""Images that are made to count questions while the benchmark does not exist yet."""


@dataclass
class Progress:
    """Progress of one backbone and method."""

    backbone: str
    method: str
    batches: int = 0
    finished: int = 0
    unfinished: set[Condition] = field(default_factory=set)
    """Conditions that lack an answer, be it of a batch of another condition that asks the same."""
    times: list[float] = field(default_factory=list)
    """When each finished batch was written, in seconds."""

    @property
    def left(self) -> int:
        """Batches that are not done."""
        return self.batches - self.finished


def report(folder: Path) -> None:
    """Print the plan of the study in `folder`.

    Raises:
        PruneProofError: if params.yaml is wrong, or a table that exists cannot be read.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from pruneproof.planning.estimate import memories  # torch takes seconds to import

    study, folders = load_study(folder), Folders(folder)
    pipeline.require_tracked(folder)
    grid = conditions(study)
    source, asked = questions(study, folders)
    progress, known = progress_of(study, folders)
    console = Console(highlight=False, soft_wrap=True)
    images = space.images_of(study, folders)
    runs = sum(len(study.methods_of(backbone)) for backbone in study.backbones)
    console.print(
        f"Study {study.study.name}: {number_of(images, 'image')}, {_asked(asked)}, "
        f"{number_of(len(grid), 'condition')}, {number_of(runs, 'run')} of a backbone with a method: "
        f"{number_of(len(grid) * runs, 'cell')}."
    )
    if not known:
        console.print("The inputs do not exist yet; progress can be shown once they do.")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("backbone", "method", "cells", "done", "batches left", "time left"):
        table.add_column(heading, justify="left" if heading in ("backbone", "method") else "right")
    everywhere = pace([time for row in progress for time in row.times])
    for row in progress:
        own = pace(row.times) or everywhere
        left = "-" if not row.left else duration(row.left * own) if own else "?"
        done = len(grid) - len(row.unfinished)
        table.add_row(row.backbone, row.method, str(len(grid)), str(done), str(row.left), left)
    console.print(table)
    console.print(_time(remaining(progress, everywhere), sum(row.left for row in progress), everywhere))
    needed = space.needed(study, folders)
    rest = "All that takes much disk is there"
    if needed:
        rest = f"About {space.size(needed)} of disk for the rest, {space.pictures_told(study, folders)}"
    console.print(
        f"{rest}, and up to {space.size(machine.feature_bytes())} for encoded images "
        f"(PRUNEPROOF_FEATURES_MB); {space.size(space.free(folder))} free."
    )
    for name, memory in memories(study, folders).items():
        console.print(f"{name}: {memory.told}.")
    for family in ("image", "text"):
        count = sum(condition.family == family for condition in grid)
        if count and asked and study.scoring.primary:
            points = shown(study, images, asked, count)
            console.print(
                f"{number_of(images, 'image')} can show a difference in drops of {points:.1f} points over "
                f"the mean of {number_of(count, f'{family} condition')} (power 80%, "
                f"{contrasts_told(study)})."
            )
    for name, note in resolution_notes(study, folders):
        console.print(f"{name} {note}.")
    if advice := resolution_advice(study, folders):
        console.print(advice)
    if source:
        console.print(f"Questions were counted on {source}.")
    console.print(
        f"`{make_command('plan', folder)} MACHINE=this` says how long it takes here, MACHINE=h100 (or another) there."
    )


def _asked(each: float) -> str:
    """How many questions there are on a picture."""
    return f"about {number_of(round(each), 'question')} on each" if each else "each to be described"


def resolution_advice(study: Study, folders: Folders) -> str:
    """Advice where pictures are much larger than the model's input and corrupted at that size, else nothing.

    ImageNet-C's constants are in pixels: a picture that a model shrinks afterwards was corrupted less.
    """
    settings, path = study.perturbations.image, folders.benchmark / "images.parquet"
    if settings.resolution == "model" or not settings.names or not path.exists():
        return ""
    shorter = np.median([min(row["width"], row["height"]) for row in read_rows(path, ["width", "height"])] or [0])
    times = shorter / settings.model_pixels
    if times < MUCH_LARGER:
        return ""
    return (
        f"Pictures are {times:.1f} times as large as the model's input (shorter side {shorter:.0f} pixels, median; "
        f"input {settings.model_pixels}), so blur and noise reach the model weaker than their severity says: set "
        "perturbations.image.resolution: model (but not for families that read larger pictures in more visual "
        "tokens, such as LLaVA-NeXT and Qwen)."
    )


def remaining(progress: Sequence[Progress], everywhere: float | None) -> float:
    """Seconds until all batches are finished, at the pace so far.

    The methods of a backbone advance together, so that one finishes a batch while the others finish theirs: their paces
    must not be added up.

    Args:
        progress: of all runs.
        everywhere: seconds a batch over all runs, for backbones of which nothing is finished; None for unknown.
    """
    total = 0.0
    for backbone in dict.fromkeys(row.backbone for row in progress):
        own = [row for row in progress if row.backbone == backbone]
        known = pace([time for row in own for time in row.times]) or everywhere or 0.0
        total += known * sum(row.left for row in own)
    return total


def _time(seconds: float, left: int, known: float | None) -> str:
    if not left:
        return "All answers are finished; `dvc repro` makes the rest."
    if known is None:
        return f"No batch is finished yet, so the pace is unknown; {number_of(left, 'batch')} to answer."
    workers = number_of(machine.workers(), "worker")
    return f"About {duration(seconds)} of answering left, at the pace so far with {workers}."


def comparisons(study: Study) -> int:
    """Number of primary contrasts, over which Holm's correction runs: each primary method on each backbone that is run
    with it, under each family of perturbations."""
    return len(_primaries(study)) * len(_families(study))


def contrasts_told(study: Study) -> str:
    """What the primary contrasts are: `2 primary contrasts: 1 primary method, under corruption and under rewording`."""
    primaries = _primaries(study)
    backbones, methods = ({pair[part] for pair in primaries} for part in (0, 1))
    told = number_of(len(methods), "primary method")
    if len(primaries) > len(methods):
        told += f" on {number_of(len(backbones), 'backbone')}"
    where = " and ".join(f"under {name}" for name in _families(study))
    return f"{number_of(comparisons(study), 'primary contrast')}: {told}, {where}"


def _primaries(study: Study) -> list[tuple[str, str]]:
    """(backbone, primary method) of those that are run together."""
    return [(name, m) for name in study.backbones for m in study.scoring.primary if m in study.methods_of(name)]


def _families(study: Study) -> list[str]:
    """What the families of perturbations that are asked for do to the input."""
    asked = {"corruption": study.perturbations.image.names, "rewording": study.perturbations.text.names}
    return [name for name, names in asked.items() if names]


def shown(study: Study, images: int, asked: float, count: int) -> float:
    """Smallest difference in drops, in points, that the primary contrasts find with a power of 80%.

    Args:
        study: how sure to be.
        images: how many.
        asked: different questions on an image.
        count: conditions that a drop is the mean of.
    """
    return detectable_difference(
        images,
        asked,
        conditions=count,
        comparisons=comparisons(study),
        confidence=study.scoring.confidence,
    )


def questions(study: Study, folders: Folders) -> tuple[str, float]:
    """How many different questions there are on an image, captions excluded, and what they were counted on; "" if the
    benchmark's tables are made."""
    path = folders.benchmark / "samples.parquet"
    if path.exists():
        return "", per_image([sample_from_row(row) for row in read_rows(path)])
    count = min(space.images_of(study, folders), LOOK_AHEAD_IMAGES)
    drawn = study.benchmark.name == "scenes"
    source = number_of(count, "image") + (" made for this estimate" if drawn else " of the benchmark's files")
    try:
        return source, per_image(benchmarks.build(study.benchmark, study.study.seed, folders.study, count).samples)
    except PruneProofError:
        known = published.SETS.get(study.benchmark.name)
        if known is None:
            raise
        return f"the published size of {study.benchmark.name}", known.answers


def per_image(samples: Sequence[Sample]) -> float:
    """Mean number of different questions on an image; a question of several POPE splits counts once."""
    asked = {(sample.image_id, sample.question) for sample in samples if sample.asks != "caption"}
    return len(asked) / max(1, len({image_id for image_id, _ in asked}))


def progress_of(study: Study, folders: Folders) -> tuple[list[Progress], bool]:
    """Progress of every backbone and method, and whether the inputs that it is counted from exist."""
    store = Store(folders.cells)
    rows = [Progress(backbone, method) for backbone in study.backbones for method in study.methods_of(backbone)]
    inputs = [
        folders.benchmark / "samples.parquet",
        folders.corrupted / "manifest.json",
        folders.reworded / "manifest.json",
    ]
    if not all(path.exists() for path in inputs):
        size = ceil(space.images_of(study, folders) / IMAGES_PER_BATCH)
        for row in rows:
            row.unfinished = set(conditions(study))
            row.batches = size * len(row.unfinished)
        return rows, False
    with remembered(folders.cells / "digests.json") as digests:
        facts = {name: manifest.of_backbone(study, folders, name, digests) for name in study.backbones}
    cells = {name: cells_of(study, folders, found, study.methods_of(name)) for name, found in facts.items()}
    for row in rows:
        own = cells[row.backbone][row.method]
        row.batches = len(own.keys)
        done = np.array([store.get(key) is not None for key in own.keys], dtype=bool)
        row.finished = int(done.sum())
        row.times = [store.path(key).stat().st_mtime for key, there in zip(own.keys, done, strict=True) if there]
        ends = np.cumsum(own.asking.sizes)  # answers are numbered through all batches
        for asked in own.asking.rows:
            if not done[np.searchsorted(ends, asked.answers, side="right")].all():
                row.unfinished.add(asked.condition)
    return rows, True


def pace(times: Sequence[float]) -> float | None:
    """Seconds of wall time for one batch: the mean gap between finished ones, excluding pauses between runs.

    Args:
        times: when batches were finished, in seconds; workers finish several at nearly the same time.

    Returns:
        None if there are too few batches to tell.
    """
    gaps = np.diff(np.sort(np.asarray(times, dtype=np.float64)))
    if len(gaps) < 4:
        return None
    return float(gaps[gaps <= 3 * np.quantile(gaps, 0.9)].mean())


def duration(seconds: float) -> str:
    """Seconds in readable units: `40 s`, `12 min`, `3.5 h`, `12 days`, `1,200 years`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 100 * 3600:
        return f"{seconds / 3600:.1f} h"
    days = seconds / 86_400
    return f"{days:.1f} days" if days < 10 else f"{days:.0f} days" if days < 1000 else f"{days / 365.25:,.0f} years"
