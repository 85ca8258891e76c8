"""How much faster two workers of one core each are than one, as actors of a Ray of this machine and in the pool.

    python -m performance.ray_scaling [--images 60] [--rounds 3]

Answers the same clean and corrupted scenes with `builtin_llava` and five methods, from an empty store each time, in
turns; every run is a process of its own, as DVC would start it. Two figures of each run, in cells (the answers of one
method to one batch) per second: of the whole process, and of its steady part, from the first cell to the one that is
nine tenths of the way. Before it models load, and after it one worker may wait for the other's last batch. All runs
must give the same bytes. Writes `performance/results/ray_scaling.json`. Where there are more than two cores,
`taskset -c 0,1` before it gives the figures for two.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from performance._options import count

from pruneproof import machine
from pruneproof.files import digest_files, write_json, write_text
from pruneproof.folders import Folders

HOME = Path(__file__).resolve().parents[1]
METHODS: dict[str, dict[str, Any]] = {
    "full": {"method": "full"},
    "random_25": {"method": "random", "keep": 0.25},
    "atp_60": {"method": "atp", "keep": 0.6},
    "atp_25": {"method": "atp", "keep": 0.25},
    "divprune_25": {"method": "divprune", "keep": 0.25},
}
STEADY = 0.9
"""Of the cells of a run."""
GOAL = 1.9


@dataclass(frozen=True)
class Run:
    """One run."""

    round: int
    engine: str
    workers: int
    cells: int
    process_s: float
    steady_per_s: float

    @property
    def process_per_s(self) -> float:
        return self.cells / self.process_s


def prepare(folder: Path, images: int) -> Folders:
    """A study with its pictures drawn and corrupted."""
    folders = Folders(folder)
    values = {
        "study": {"name": "scaling", "root": str(HOME), "seed": 2026},
        "benchmark": {"name": "scenes", "images": images},
        "perturbations": {"image": {"names": ["gaussian_noise", "motion_blur"], "severities": [3]}},
        "backbones": {
            "builtin_llava": {
                "family": "llava",
                "checkpoint": "data/backbones/builtin_llava",
                "text_tower": "data/backbones/builtin_llava/clip",
            }
        },
        "methods": METHODS,
        "scoring": {"baseline": "full"},
    }
    write_text(folders.params, json.dumps(values))
    for stage in ("draw_scenes", "corrupt_images", "reword_questions"):
        call(folders, {}, stage)
    return folders


def call(folders: Folders, variables: Mapping[str, str], *arguments: str) -> float:
    """Run a stage; returns its seconds."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PRUNEPROOF_", "RAY_"))}
    environment = kept | {"PYTHONPATH": str(HOME / "src"), "PRUNEPROOF_DEVICE": "cpu"} | variables
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pruneproof", *arguments],
        cwd=folders.study,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - begin


def answer(folders: Folders, number: int, engine: str, workers: int) -> tuple[Run, str]:
    """Answer everything from nothing; returns what was measured and the digest of all tables."""
    if folders.cells.exists():
        folders.cells.rename(folders.cells.with_name(f".cells {number} {engine} {workers}"))
    variables = {"PRUNEPROOF_ENGINE": engine, "PRUNEPROOF_WORKERS": str(workers)}
    seconds = call(folders, variables, "answer_questions", "--backbone", "builtin_llava")
    finished = sorted(path.stat().st_mtime_ns / 1e9 for path in folders.cells.rglob("*.cell"))
    last = int(STEADY * len(finished)) - 1
    tables = digest_files(sorted([*folders.answers.rglob("*.parquet"), *folders.logits.rglob("*.parquet")]))
    return Run(number, engine, workers, len(finished), seconds, last / (finished[last] - finished[0])), tables


def ratios(runs: list[Run]) -> dict[str, Any]:
    """Two workers over one inside each round, median and range, by engine."""
    found: dict[str, Any] = {}
    for engine in dict.fromkeys(run.engine for run in runs):
        of = {(run.round, run.workers): run for run in runs if run.engine == engine}
        rounds = sorted({number for number, _ in of})
        for figure in ("steady_per_s", "process_per_s"):
            each = [getattr(of[number, 2], figure) / getattr(of[number, 1], figure) for number in rounds]
            row = {"median": statistics.median(each), "least": min(each), "most": max(each)}
            found.setdefault(engine, {})[figure] = {name: round(value, 3) for name, value in row.items()}
    return found


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=count, default=60)
    parser.add_argument("--rounds", type=count, default=3)
    parser.add_argument("--output", type=Path, default=HOME / "performance/results/ray_scaling.json")
    chosen = parser.parse_args()
    if machine.cores() < 2:
        sys.exit("two workers of one core each need two cores")
    runs: list[Run] = []
    with tempfile.TemporaryDirectory() as folder:
        folders = prepare(Path(folder), chosen.images)
        bytes_of: set[str] = set()
        for number in range(chosen.rounds):
            for engine in ("ray", "pool"):
                for workers in (1, 2):
                    run, tables = answer(folders, number, engine, workers)
                    runs.append(run)
                    bytes_of.add(tables)
                    print(f"{engine} {workers}: {run.steady_per_s:.2f} cells a second, {run.process_s:.1f} s in all")
    found = ratios(runs)
    for engine, figures in found.items():
        steady = figures["steady_per_s"]
        print(f"{engine}: two workers {steady['median']:.2f} times one ({steady['least']:.2f} to {steady['most']:.2f})")
    result = {
        "platform": platform.platform(),
        "cores": machine.cores(),
        "images": chosen.images,
        "methods": METHODS,
        "goal": GOAL,
        "reached": found["ray"]["steady_per_s"]["median"] >= GOAL,
        "same_bytes": len(bytes_of) == 1,
        "two_workers_over_one": found,
        "runs": [{**asdict(run), "process_per_s": run.process_per_s} for run in runs],
    }
    write_json(chosen.output, result)
    if len(bytes_of) > 1:
        sys.exit("the runs differ in their answers or logits")


if __name__ == "__main__":
    main()
