"""A damaged file of every kind that the pipeline reads or writes: cut, emptied, one bit flipped, of another type, gone,
unreadable, or a folder in its place.

Stages that read it are run as they are, without DVC, which would make most files anew: each ends well or says in one
line what is wrong. What they served of a file that DVC does not follow (stores, weights) must be what it was before.
Then the file is put back if no stage makes it, everything is run as DVC would, and the end state is compared.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from random import Random

from performance.faults import _pipeline as pipeline
from performance.faults import _processes as processes
from performance.faults._hooks import Hooks
from performance.faults._pipeline import Ended
from performance.faults._trials import DONE, SPARE, Bench, Kind, Trial, line_of, unclear
from performance.faults._world import World

HOW = ("cut", "empty", "a bit", "another type", "gone", "unreadable", "a folder")
GIVEN: Mapping[str, tuple[str, ...]] = {
    "params.yaml": ("write_manifests", "score_answers"),
    "data/backbones/tiny/model.safetensors": ("write_manifests", "locate_patches", "answer_questions"),
    "data/backbones/tiny/config.json": ("write_manifests", "locate_patches", "answer_questions"),
    "data/backbones/tiny/generation_config.json": ("answer_questions",),
    "data/backbones/tiny/processor_config.json": ("locate_patches", "answer_questions"),
    "data/backbones/tiny/tokenizer.json": ("answer_questions",),
    "data/backbones/tiny/tokenizer_config.json": ("answer_questions",),
    "data/backbones/tiny/chat_template.jinja": ("answer_questions",),
    "data/backbones/tiny/clip/open_clip_config.json": ("write_manifests", "answer_questions"),
    "data/backbones/tiny/clip/open_clip_model.safetensors": ("write_manifests", "answer_questions"),
    "data/backbones/tiny/clip/tokenizer.json": ("answer_questions",),
    "src/pruneproof/pruning/atp.py": (),
}
"""Files that no stage makes, and stages that read them; code is changed by `mutations`."""
STORES: Mapping[str, tuple[str, ...]] = {
    "data/.cells/*/*.cell": ("answer_questions",),
    "data/.cells/features/*.features": ("answer_questions",),
    "data/.cells/digests.json": ("write_manifests", "answer_questions"),
    "data/.corrupted/*.parquet": ("corrupt_images",),
    "data/.corrupted/*.sha256": ("corrupt_images",),
    "mlflow.db": ("record_runs",),
    "mlflow.db-lock": ("record_runs",),
}
"""Files that stages keep beside their outputs, which DVC does not follow, and the stages that read them."""
MADE: Mapping[str, tuple[str, ...]] = {
    "data/manifests/benchmark.json": (),
    "data/manifests/answers/tiny.json": ("write_report",),
    "data/benchmark/images.parquet": ("corrupt_images", "locate_patches", "answer_questions", "measure_costs"),
    "data/benchmark/objects.parquet": ("corrupt_images", "score_answers"),
    "data/benchmark/samples.parquet": ("reword_questions", "answer_questions", "score_answers", "write_report"),
    "data/benchmark/shared.json": ("score_answers",),
    "data/benchmark/manifest.json": ("score_answers", "write_report"),
    "data/corrupted/gaussian_noise_3.parquet": ("answer_questions", "write_report"),
    "data/corrupted/manifest.json": ("answer_questions", "write_report", "record_runs"),
    "data/reworded/questions.parquet": ("answer_questions", "score_answers"),
    "data/reworded/manifest.json": ("score_answers", "record_runs"),
    "data/patches/tiny.parquet": ("score_answers", "write_report"),
    "data/answers/tiny/atp_25.parquet": ("score_answers", "write_report", "record_runs"),
    "data/logits/tiny/full.parquet": ("score_answers",),
    "data/costs/flops.csv": ("score_answers", "write_report", "record_runs"),
    "data/costs/latency.csv": ("write_report", "record_runs"),
    "data/costs/machine.json": ("write_report", "record_runs"),
    "data/scores/*.csv": ("write_report", "record_runs"),
    "data/scores/*.parquet": ("write_report", "record_runs"),
    "reports/summary.csv": ("record_runs",),
    "reports/metrics/*/*.json": ("record_runs",),
    "reports/figures/*.csv": ("record_runs",),
    "reports/tables/*.tex": ("record_runs",),
    "reports/claims.md": ("record_runs",),
    "reports/report.html": ("record_runs",),
    "reports/tracking.json": ("record_runs",),
}
"""Outputs of stages, and the later stages that read them."""
ANSWERS = (".cell",)
"""What may be left over: answers to the damaged input, under a key of their own."""
KINDS = (*GIVEN, *STORES, *MADE)
QUICK = ("write_report",)
"""A slow stage is run as a reader in half of the trials that it reads in."""


def trial(bench: Bench, number: int, rng: Random) -> Trial:
    """Damage one file, run what reads it, and repair."""
    pattern, how = KINDS[number % len(KINDS)], HOW[(number + number // len(KINDS)) % len(HOW)]
    world = bench.begin(DONE)
    path = rng.choice(sorted(world.folder.glob(pattern)))
    content = path.read_bytes()
    told = _damage(path, how, rng)
    if path.suffix == SPARE:  # read only for what is to be answered
        for cell in (world.data / ".cells").rglob("*.cell"):
            cell.unlink()
    readers = (GIVEN | STORES | MADE)[pattern]
    runs = [_alone(world, name) for name in readers if name not in QUICK or rng.random() < 0.5]
    served = ""
    if pattern in STORES and not any(run.code for run in runs):
        served = bench.differs(world, DONE, ("data/answers", "data/logits", "data/corrupted"))
    repaired = pattern in GIVEN or (pattern in STORES and any(run.code for run in runs))
    if path.is_dir() or repaired:
        _back(path, content if repaired else None)
    elif path.exists():
        path.chmod(0o644)
    if pattern == "mlflow.db":
        for ending in ("-wal", "-shm"):
            shutil.copy(bench.folder / f"at {DONE}" / f"mlflow.db{ending}", world.folder)
    again = pipeline.repro(world)
    failed = [run for run in runs if run.code]
    wrong = next((text for run in runs if (text := unclear(run))), "")
    return Trial(
        "damage",
        number,
        f"{path.relative_to(world.folder)}: {told}; {len(failed)} of {len(runs)} readers refused",
        stale=served,
        unclear=wrong or (f"then code {again.code} in {again.stage}: {again.said[-300:]}" if again.code else ""),
        unequal=bench.differs(world, more=ANSWERS),
        said=line_of(failed[0]) if failed else "",
    )


def _alone(world: World, name: str) -> Ended:
    """Run one stage whatever is stale, with permissions that hold."""
    own = next(one for one in pipeline.stages(World(world.folder)) if one.name == name)
    code, said = processes.run(world, own.arguments, Hooks(like_others=True))
    return Ended(code, name, said)


def _damage(path: Path, how: str, rng: Random) -> str:
    content = bytearray(path.read_bytes())
    if how == "cut":
        at = rng.randrange(max(1, len(content)))
        path.write_bytes(content[:at])
        return f"cut to {at} of {len(content)} bytes"
    if how == "empty":
        path.write_bytes(b"")
    elif how == "a bit" and content:
        at, bit = rng.randrange(len(content)), rng.randrange(8)
        content[at] ^= 1 << bit
        path.write_bytes(content)
        return f"bit {bit} of byte {at} of {len(content)} flipped"
    elif how == "another type":
        other = {
            ".json": b"[1, 2]\n",
            ".csv": b"\x89PNG\r\n\x1a\n",
            ".yaml": b"- a\n- list\n",
            ".parquet": b'{"a": 1}\n',
        }
        path.write_bytes(other.get(path.suffix, b"%PDF-1.7 something else\n"))
    elif how == "unreadable":
        path.chmod(0)
    else:
        path.unlink()
        if how == "a folder":
            path.mkdir()
    return how


def _back(path: Path, content: bytes | None) -> None:
    """Remove what is there, and put back the file that was."""
    if path.is_dir():
        shutil.rmtree(path)
    if content is not None:
        if path.exists():
            os.chmod(path, 0o644)
        path.write_bytes(content)


KIND = Kind("damage", "A damaged file", 2 * len(KINDS), trial)
