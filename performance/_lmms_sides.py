"""One side's process, from its command line to its end, and when its answers came."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from pathlib import Path

from performance._lmms_ratios import Case, Run
from performance._lmms_rows import TASK, Row

from pruneproof.answering.store import Store
from pruneproof.errors import PruneProofError
from pruneproof.files import read_rows, write_text
from pruneproof.folders import Folders

HOME = Path(__file__).resolve().parents[1]
BACKBONE = "measured"
_PROGRESS = re.compile(rb"Model Responding:[^\r\n]*?(\d+)/\d+ \[")
_SIGNS = 4000
"""Characters of a log that are shown if a process fails."""


@dataclass(frozen=True, slots=True)
class Marks:
    """When a process began, had answers, and ended: seconds of the system's clock."""

    begin: float
    answers: tuple[tuple[float, float], ...]
    """(moment, rows that have an answer by then), ascending."""
    end: float

    def run(self, number: int, side: str, case: Case, rows: int) -> Run:
        """The numbers that are compared."""
        start, last = (self.answers[0], self.answers[-1]) if self.answers else ((self.end, 0.0), (self.end, 0.0))
        return Run(
            number,
            side,
            case,
            rows,
            self.end - self.begin,
            start[0] - self.begin,
            last[0] - start[0],
            last[1] - start[1],
        )


@dataclass(frozen=True, slots=True)
class PruneProof:
    """The stage `answer_questions` from the command line, with an empty store."""

    device: str

    def answer(self, folder: Path, case: Case, rows: int) -> Marks:
        """Answer everything in a study's folder whose stage `draw_scenes` has run.

        Answers come in cells. The first of each worker marks the start.

        Raises:
            PruneProofError: if the stage fails.
        """
        folders = Folders(folder)
        for old in (folders.cells, folders.answers, folders.logits):
            shutil.rmtree(old, ignore_errors=True)
        command = [sys.executable, "-m", "pruneproof", "answer_questions", "--study", folder, "--backbone", BACKBONE]
        own = {
            "PRUNEPROOF_WORKERS": str(case.threads),
            "PRUNEPROOF_DEVICE": self.device,
            "PYTHONPATH": _paths(HOME / "src"),
        }
        log = folder / "log.txt"
        begin = time.time()
        with log.open("wb") as file:
            done = subprocess.run(
                command,
                env=_environment(case.threads) | own,
                stdout=file,
                stderr=file,
                preexec_fn=_pinned(case.threads),
            )
        end = time.time()
        if done.returncode:
            raise PruneProofError(f"answer_questions failed:\n{log.read_text(errors='replace')[-_SIGNS:]}")
        store = Store(folders.cells)
        cells = sorted((path.stat().st_mtime, path.stem) for path in folders.cells.rglob("*.cell"))
        counts = [len(table) if (table := store.get(key)) else 0 for _, key in cells]
        share = rows * len(case.methods) / sum(counts)
        marks = zip((moment for moment, _ in cells), accumulate(share * count for count in counts), strict=True)
        workers = case.threads if self.device == "cpu" else 1
        return Marks(begin, tuple(marks)[workers - 1 :], end)

    @staticmethod
    def texts(folder: Path, method: str) -> dict[tuple[str, str], str]:
        """Answers by picture and question."""
        folders = Folders(folder)
        samples = read_rows(folders.benchmark / "samples.parquet", ["sample_id", "image_id", "question"])
        asked = {row["sample_id"]: (row["image_id"], row["question"]) for row in samples}
        answers = read_rows(folders.answers_of(BACKBONE, method), ["sample_id", "text"])
        return {asked[row["sample_id"]]: row["text"] for row in answers}


@dataclass(frozen=True, slots=True)
class Setting:
    """What lmms-eval's LLaVA lets one choose; it refuses batches."""

    arguments: Mapping[str, str] = field(default_factory=dict)
    """More `model_args`."""
    threads: int | None = None
    """Of torch, if not as many as it has cores."""


@dataclass(frozen=True, slots=True)
class LmmsEval:
    """`python -m lmms_eval` with its own LLaVA, or with that and ATP."""

    python: Path
    work: Path
    """For its caches, and for what tells it of the model with ATP."""
    arguments: Mapping[str, str]
    """`model_args` of every run."""
    pruned: Mapping[str, Mapping[str, str]]
    """More of them by method, for those that prune."""
    best: Mapping[Case, Setting] = field(default_factory=dict)
    """The best settings that were tried, by case."""

    def answer(self, task: Path, case: Case, setting: Setting | None = None, limit: int | None = None) -> Marks:
        """Answer the rows of a task's folder; results lie in `out/` there.

        Raises:
            PruneProofError: if it writes no answers; it says 0 even then.
        """
        [method] = case.methods
        setting = setting or self.best.get(case) or Setting()
        out = task / "out"
        shutil.rmtree(out, ignore_errors=True)
        arguments = {**self.arguments, **self.pruned.get(method, {}), **setting.arguments}
        command = [
            self.python, "-m", "lmms_eval",
            "--model", "llava_hf_atp" if method in self.pruned else "llava_hf",
            "--model_args", ",".join(f"{name}={value}" for name, value in arguments.items()),
            "--tasks", TASK, "--include_path", task,
            "--batch_size", "1", "--log_samples", "--output_path", out,
            *(("--limit", str(limit)) if limit else ()),
        ]  # fmt: skip
        log = task / "log.txt"
        begin = time.time()
        with log.open("wb") as file, subprocess.Popen(
            command,
            env=self._environment(setting.threads or case.threads, method in self.pruned),
            stdout=file,
            stderr=subprocess.PIPE,
            preexec_fn=_pinned(case.threads),
        ) as process:  # fmt: skip
            assert process.stderr is not None
            marks = _progress(process.stderr.fileno(), file.fileno())
        end = time.time()
        if process.returncode or not self._samples(task):
            raise PruneProofError(f"lmms-eval failed:\n{log.read_text(errors='replace')[-_SIGNS:]}")
        return Marks(begin, tuple(marks), end)

    def texts(self, task: Path, rows: Sequence[Row]) -> list[tuple[tuple[str, str], str]]:
        """(picture and question, answer) of every row that was answered last."""
        lines = self._samples(task)[0].read_text(encoding="utf-8").splitlines()
        entries = sorted(map(json.loads, lines), key=lambda entry: entry["doc_id"])
        return [(rows[entry["doc_id"]].asked, entry["filtered_resps"]) for entry in entries]

    @property
    def official_task(self) -> Path:
        """POPE as lmms-eval has it."""
        inside = self.python.parent.parent / "lib"
        return next(inside.glob("python*/site-packages/lmms_eval/tasks/pope/pope.yaml"))

    def _samples(self, task: Path) -> list[Path]:
        return sorted((task / "out").rglob(f"*_samples_{TASK}.jsonl"))

    def _environment(self, threads: int, pruning: bool) -> dict[str, str]:
        own = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(self.work / "hub")}
        if pruning:
            plugin = self.work / "plugin"
            told = plugin / "against_lmms_eval-1.dist-info"
            write_text(told / "METADATA", "Metadata-Version: 2.1\nName: against_lmms_eval\nVersion: 1\n")
            write_text(told / "entry_points.txt", "[lmms_eval.models]\natp = performance._lmms_plugin:MANIFEST\n")
            own["PYTHONPATH"] = _paths(HOME, HOME / "src", plugin)
        return _environment(threads) | own


def _progress(stream: int, log: int) -> list[tuple[float, float]]:
    """Copy a stream into a log until its end; when lmms-eval's progress bar showed how many answers."""
    marks: list[tuple[float, float]] = []
    while chunk := os.read(stream, 1 << 16):
        moment = time.time()
        os.write(log, chunk)
        counts = [int(count) for count in _PROGRESS.findall(chunk)]
        if counts and max(counts) > (marks[-1][1] if marks else 0):
            marks.append((moment, max(counts)))
    return marks


def _environment(threads: int) -> dict[str, str]:
    return dict(os.environ) | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}


def _paths(*first: Path) -> str:
    """PYTHONPATH with some folders before what it has."""
    return os.pathsep.join([*map(str, first), *filter(None, [os.environ.get("PYTHONPATH")])])


def _pinned(threads: int) -> Callable[[], None] | None:
    """Keeps a process on as many cores as it has threads, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    return partial(os.sched_setaffinity, 0, sorted(os.sched_getaffinity(0))[:threads])
