"""Whether `plan --machine this` says beforehand what answering then takes: predicted against measured, part by part.

    python -m performance.cost_model [--pictures 20] [--output FILE]

Run it in the repository's root, on a machine that does nothing else. The machine is measured as `plan` measures it. One
study is then run to calibrate: its ratios of measured to predicted seconds, part by part, are what is known of Python's
share on this machine. All further studies, which differ in backbone, methods, pictures, questions, conditions and
workers, are predicted before any of them is run. One worker is timed by the processor's time of its thread and by part,
two by wall time. Writes `performance/results/cost_model.json`.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from performance._cost_watch import Watch
from performance._options import count

from pruneproof import machine
from pruneproof.answering import stage as answering
from pruneproof.answering.costs import _processor
from pruneproof.answering.engines import pool
from pruneproof.benchmarks import stage as drawing
from pruneproof.files import write_json
from pruneproof.folders import Folders
from pruneproof.perturbations.images import stage as corrupting
from pruneproof.perturbations.text import stage as rewording
from pruneproof.planning import measuring
from pruneproof.planning.asked import asking_of
from pruneproof.planning.estimate import Planned, planned
from pruneproof.planning.machines import Speeds
from pruneproof.planning.work import Running
from pruneproof.settings import Study

HOME = Path(__file__).resolve().parents[1]
CORRUPTIONS = ("gaussian_noise", "motion_blur", "fog", "snow", "jpeg_compression", "occlusion_random")
WITHIN = 0.25
"""Largest difference of a prediction."""
MOST = 2.0
"""Most that calibration changes a part by."""
GROUPS: Mapping[str, tuple[str, ...]] = {
    "encode": ("pictures read", "vision tower"),
    "connector": ("connector",),
    "text tower": ("text tower",),
    "selection": ("selection",),
    "prefill": ("prefill", "around"),
    "decode": ("decode",),
}
"""Parts that can be told apart while they run, and the plan's parts that they hold."""
BOTH = {"full": {"method": "full"}, "atp_25": {"method": "atp", "keep": 0.25}}
DOORS = {
    "random_25": {"method": "random", "keep": 0.25},
    "resize_25": {"method": "resize", "keep": 0.25},
    "tome_25": {"method": "tome", "keep": 0.25},
    "fastervlm_25": {"method": "fastervlm", "keep": 0.25},
    "divprune_25": {"method": "divprune", "keep": 0.25},
    "cdpruner_25": {"method": "cdpruner", "keep": 0.25},
    "fastv_25": {"method": "fastv", "keep": 0.25},
    "pyramiddrop": {"method": "pyramiddrop"},
}


@dataclass(frozen=True, slots=True)
class Case:
    """One small study."""

    title: str
    methods: Mapping[str, Any]
    backbone: str = "builtin_llava"
    size: float = 1.0
    """Pictures, as a share of --pictures."""
    few: bool = False
    """Whether little is asked of each picture."""
    corruptions: tuple[str, ...] = ()
    captions: bool = False
    workers: int = 1


CALIBRATION = Case("calibration: LLaVA, full and ATP 25%", BOTH)
CASES = (
    Case("LLaVA, the same methods, half as many pictures under two corruptions", BOTH, size=0.5, corruptions=("fog",)),
    Case("LLaVA, methods at every door", {"full": BOTH["full"], **DOORS}),
    Case("LLaVA, few questions on each picture", {**BOTH, "random_25": DOORS["random_25"]}, size=1.5, few=True),
    Case("LLaVA, with descriptions", BOTH, captions=True),
    Case("BLIP-2", {**BOTH, "random_25": DOORS["random_25"], "tome_25": DOORS["tome_25"]}, "builtin_blip2"),
    Case("Flamingo", {**BOTH, "random_25": DOORS["random_25"]}, "builtin_flamingo"),
    Case("LLaVA, two workers", {**BOTH, **DOORS}, workers=2, corruptions=("fog", "jpeg_compression")),
)


def study_of(case: Case, pictures: int) -> Study:
    """The settings of a case."""
    families = {"builtin_llava": "llava", "builtin_blip2": "blip2", "builtin_flamingo": "flamingo"}
    return Study.model_validate(
        {
            "study": {"name": "cost_model", "seed": 2026, "root": str(HOME)},
            "benchmark": {
                "images": max(2, round(pictures * case.size)),
                "options": {"pope_pairs": 1, "per_kind": 1} if case.few else {},
            },
            "perturbations": {"image": {"names": list(case.corruptions), "severities": [1, 3]}},
            "backbones": {
                "asked": {
                    "family": families[case.backbone],
                    "checkpoint": f"data/backbones/{case.backbone}",
                    "text_tower": "data/backbones/builtin_llava/clip",
                }
            },
            "methods": dict(case.methods),
            "answering": {"caption_conditions": ["clean"] if case.captions else []},
        }
    )


def predicted(study: Study, folder: Path, workers: int, known: dict[str, Speeds]) -> Planned:
    """What `plan --machine this` says, before anything of the study exists.

    Args:
        study: the settings.
        folder: where it will lie.
        workers: that will answer.
        known: what was measured, by checkpoint and workers; filled.
    """
    how = Running(machine.batch_size(), workers, float(machine.feature_bytes()))
    folders = Folders(folder)
    asking = {by_question: asking_of(study, folders, by_question) for by_question in (True, False)}

    def speeds(shape: Any, prompts: Any) -> Speeds:
        key = f"{study.backbones['asked'].checkpoint} {workers}"
        if key not in known:
            lengths = measuring.Lengths(how.rows, round(prompts.before + shape.tokens + prompts.question))
            known[key] = measuring.measured(shape, lengths, workers, "cpu")
        return known[key]

    return planned(study, folders, "asked", asking, speeds, how)


def grouped(seconds: Mapping[str, float]) -> dict[str, float]:
    """Predicted seconds by what can be told apart."""
    return {group: sum(seconds.get(part, 0.0) for part in parts) for group, parts in GROUPS.items()}


def run(study: Study, folder: Path, workers: int) -> dict[str, float]:
    """Seconds that answering really took: by part with one worker, `total` alone with more; loading left out."""
    folders = Folders(folder)
    with environment(PRUNEPROOF_WORKERS=str(workers), PRUNEPROOF_DEVICE="cpu"):
        for part in (drawing, corrupting, rewording):
            part.run(study, folders)
        if workers == 1:
            watch = Watch()
            finish = watch.timed("around", pool.finish)
            with watch.watching(), replaced(pool, "finish", finish):
                answering.run(study, folders, "asked")
            watch.seconds.pop("start", None)
            watch.seconds["prefill"] += watch.seconds.pop("around")
            return watch.seconds | {"total": sum(watch.seconds.values())}
        loading = Watch(clock=time.perf_counter)
        with replaced(pool, "load", loading.timed("load", pool.load)):
            began, before = time.perf_counter(), children_seconds()
            answering.run(study, folders, "asked")
            wall = time.perf_counter() - began - loading.seconds["load"]
        return {"total": wall, "processor of each worker": (children_seconds() - before) / workers}


def children_seconds() -> float:
    """Time on the processor of all processes that this one has started and seen end."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def corruption(pictures: int) -> dict[str, Any]:
    """The stage `corrupt_images` in one process, predicted and measured."""
    case = Case("corrupting pictures", BOTH, corruptions=CORRUPTIONS)
    study = study_of(case, pictures)
    with tempfile.TemporaryDirectory() as name, environment(PRUNEPROOF_WORKERS="1"):
        folders = Folders(Path(name))
        drawing.run(study, folders)
        each = measuring.corruption_seconds(CORRUPTIONS)
        said = 2 * pictures * sum(each.values())  # at two severities, of pictures of the size that is measured
        began = time.thread_time()
        corrupting.run(study, folders)
        took = time.thread_time() - began
    return {"predicted_s": round(said, 3), "measured_s": round(took, 3), "ratio": round(said / took, 3)}


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Some variables of the environment, and as they were afterwards."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """An attribute, and as it was afterwards."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def factor(said: float, took: float) -> float:
    """Measured over predicted, within `MOST`: a part that takes nearly nothing in one study says little of others."""
    return min(MOST, max(1 / MOST, took / said)) if said and took else 1.0


def compared(case: Case, foretold: Mapping[str, float], took: Mapping[str, float]) -> dict[str, Any]:
    """A case's numbers; parts that took less than a twentieth of it are left out of the ratios."""
    total = took["total"]
    shown = {part: value for part, value in took.items() if part in GROUPS and value >= total / 20}
    ratios = {part: round(foretold[part] / value, 3) for part, value in shown.items() if part in foretold}
    ratio = sum(foretold.values()) / total
    return {
        "title": case.title,
        "workers": case.workers,
        "predicted_s": {part: round(value, 3) for part, value in foretold.items()},
        "measured_s": {part: round(value, 3) for part, value in took.items()},
        "ratio_by_part": ratios,
        "ratio": round(ratio, 3),
        "within": abs(ratio - 1) <= WITHIN,
    }


def main() -> None:
    """Predict, run, compare and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=count, default=20, help="scenes of a study of size 1")
    parser.add_argument("--output", type=Path, default=HOME / "performance/results/cost_model.json")
    chosen = parser.parse_args()
    measuring.one_thread()
    known: dict[str, Speeds] = {}
    with tempfile.TemporaryDirectory() as name:
        folders = {case.title: Path(name) / str(i) for i, case in enumerate((CALIBRATION, *CASES))}
        for folder in folders.values():
            folder.mkdir()
        first = study_of(CALIBRATION, chosen.pictures)
        said = grouped(predicted(first, folders[CALIBRATION.title], 1, known).seconds)
        took = run(first, folders[CALIBRATION.title], 1)
        factors = {part: factor(value, took.get(part, 0.0)) for part, value in said.items()}
        report: dict[str, Any] = {"calibration": compared(CALIBRATION, said, took), "factors": factors}
        print(f"{CALIBRATION.title}: uncalibrated ratio {report['calibration']['ratio']}", report["calibration"])
        studies = {case.title: study_of(case, chosen.pictures) for case in CASES}
        plain = {
            case.title: grouped(predicted(studies[case.title], folders[case.title], case.workers, known).seconds)
            for case in CASES
        }
        calibrated = {
            title: {part: value * factors[part] for part, value in seconds.items()} for title, seconds in plain.items()
        }
        rows = []
        report["corruption"] = corruption(chosen.pictures)
        print(f"corrupting pictures: predicted/measured {report['corruption']['ratio']}", flush=True)
        for case in CASES:
            took = run(studies[case.title], folders[case.title], case.workers)
            row = compared(case, calibrated[case.title], took)
            if "processor of each worker" in took:
                used = took["processor of each worker"]
                row["ratio_to_processor"] = round(sum(calibrated[case.title].values()) / used, 3)
                print(f"  of the workers' time on their processors: {row['ratio_to_processor']}")
            row["ratio_uncalibrated"] = round(sum(plain[case.title].values()) / took["total"], 3)
            rows.append(row)
            parts = ", ".join(f"{part} {value}" for part, value in row["ratio_by_part"].items())
            plainly = row["ratio_uncalibrated"]
            print(f"{case.title}: predicted/measured {row['ratio']} ({parts}); as `plan` says {plainly}", flush=True)
    worst, plain_worst = (max(abs(row[key] - 1) for row in rows) for key in ("ratio", "ratio_uncalibrated"))
    write_json(
        chosen.output,
        report
        | {
            "cases": rows,
            "largest_difference": round(worst, 3),
            "largest_difference_uncalibrated": round(plain_worst, 3),
            "processor": _processor(),
            "torch": torch.__version__,
            "pictures": chosen.pictures,
        },
    )
    print(f"largest difference {worst:.0%}; as `plan` says {plain_worst:.0%}")


if __name__ == "__main__":
    main()
