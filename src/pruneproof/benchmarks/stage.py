"""The stage `draw_scenes`: writes the benchmark's tables."""

from __future__ import annotations

import logging
import os
from collections import Counter
from dataclasses import asdict

from pruneproof.benchmarks import Benchmark, build, card, input_files
from pruneproof.benchmarks._faults import refuse
from pruneproof.benchmarks._pictures import looked_at
from pruneproof.benchmarks._protect import fill_protected
from pruneproof.benchmarks._types import image_problems
from pruneproof.benchmarks._validation import require_sound
from pruneproof.digests import remembered
from pruneproof.errors import PruneProofError
from pruneproof.files import write_json, write_rows
from pruneproof.folders import Folders
from pruneproof.records import IMAGES, OBJECTS, SAMPLES, sample_to_row
from pruneproof.settings import Study
from pruneproof.stored import write_pictures

log = logging.getLogger(__name__)


def run(study: Study, folders: Folders) -> None:
    """Write `images`, `objects` and `samples.parquet`, `shared.json` and `manifest.json`.

    Raises:
        PruneProofError: if a file is missing or cannot be read, if a later stage could not use what the benchmark
            gives, or if a picture cannot be decoded or is not of the size given for it.
    """
    settings = study.benchmark
    read = input_files(settings, folders.study)
    benchmark = build(settings, study.study.seed, folders.study)
    refuse(settings.name, list(image_problems(benchmark)))
    benchmark, faults = looked_at(benchmark, folders.study / settings.folder, folders.study)
    if settings.on_bad_sample == "error":
        refuse(settings.name, faults)
    if benchmark.too_few:
        log.warning("benchmark %s: %s", settings.name, benchmark.too_few)
    left_out = [*benchmark.left_out, *faults]
    if left_out:
        log.warning("benchmark %s: left out: %d, listed in %s", settings.name, len(left_out), folders.benchmark)
    require_sound(settings.name, benchmark)
    _require_turns(study, benchmark)
    _require_kinds(study, benchmark)
    nouns = {row["noun"] for row in benchmark.objects} | {sample.target for sample in benchmark.samples} - {""}
    samples, protected = fill_protected(benchmark.samples, nouns)
    write_pictures(folders.benchmark / "images.parquet", benchmark.images, IMAGES)
    write_pictures(folders.benchmark / "objects.parquet", benchmark.objects, OBJECTS, group=100)
    write_rows(folders.benchmark / "samples.parquet", [sample_to_row(s) for s in samples], SAMPLES)
    write_json(folders.benchmark / "shared.json", dict(benchmark.shared))
    with remembered(folders.cells / "digests.json") as digests:
        known = {os.path.relpath(path, folders.study): digests.of(path) for path in read}
    kinds = Counter(f"{s.kind}/{s.split}" if s.split else s.kind for s in benchmark.samples)
    write_json(
        folders.benchmark / "manifest.json",
        {
            "benchmark": settings.name,
            "card": asdict(card(settings.name)),
            "images": len(benchmark.images),
            "samples": dict(sorted(kinds.items())),
            "protected": protected,
            "left_out": left_out,
            "files": known,
        },
    )


def _require_kinds(study: Study, benchmark: Benchmark) -> None:
    """Refused here, and not only when scoring, which comes after all answers; few pictures may lack some kinds."""
    asked = list(dict.fromkeys(sample.kind for sample in benchmark.samples if sample.asks != "caption"))
    lacking = [kind for kind in study.scoring.kinds if kind not in asked]
    named, known = ", ".join(lacking), ", ".join(asked)
    said = f"scoring.kinds: benchmark {study.benchmark.name} asks no {named}; its kinds: {known}"
    if lacking and len(lacking) == len(study.scoring.kinds):
        raise PruneProofError(said)
    if lacking:
        log.warning("%s", said)


def _require_turns(study: Study, benchmark: Benchmark) -> None:
    """Refused here, and not only when answering: pictures are corrupted in between."""
    turns = study.answering.dialogues.turns
    different = {(sample.image_id, sample.question) for sample in benchmark.samples if sample.asks != "caption"}
    most = max(Counter(image_id for image_id, _ in different).values(), default=0)
    if study.answering.dialogues.select_by and most < turns:
        raise PruneProofError(
            f"answering.dialogues.turns is {turns}, but no image of benchmark {study.benchmark.name} has more than "
            f"{most} different questions: lower it, or leave `select_by` empty"
        )
