"""Both sides on the same rows: what they read is written, then they answer in turns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from performance._lmms_ratios import OURS, THEIRS, Agreement, Case, Run, agreement
from performance._lmms_rows import PICTURES, Row, study, write_task
from performance._lmms_sides import LmmsEval, PruneProof

from pruneproof.benchmarks import stage as benchmarks_stage
from pruneproof.files import write_text
from pruneproof.folders import Folders
from pruneproof.settings import Study

METHODS: Mapping[str, Mapping[str, Any]] = {"full": {"method": "full"}, "atp_60": {"method": "atp", "keep": 0.6}}
QUESTIONS = {"rows": "coco", "unique": "unique"}
"""Folder of the official files with repeats, and without."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What is answered with, and how."""

    checkpoint: Path
    text_tower: Path
    dtype: str
    suffix: str
    """Added to every question after a line's end; empty for none."""
    longest: int
    """Tokens of an answer at most."""
    trained: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both sides and where their inputs lie."""

    work: Path
    rows: Mapping[str, Sequence[Row]]
    """By `rows` and `unique`."""
    ours: PruneProof
    theirs: LmmsEval

    def study(self, case: Case) -> Path:
        """The folder of PruneProof's study."""
        return self.work / f"study_{case.questions}_{case.method}"

    def task(self, case: Case) -> Path:
        """The folder of lmms-eval's task."""
        return self.work / f"task_{case.questions}"

    def prepare(self, weights: Weights, cases: Sequence[Case]) -> None:
        """Write what both sides read; none of this is counted."""
        backbone = {
            "family": "llava",
            "checkpoint": str(weights.checkpoint),
            "text_tower": str(weights.text_tower),
            "dtype": weights.dtype,
            "question_suffix": weights.suffix,
            "max_new_tokens": weights.longest,
        }
        suffix = f"\n{weights.suffix}" if weights.suffix else ""
        for case in cases:
            rows, folder = self.rows[case.questions], self.study(case)
            params = study(
                self.work,
                QUESTIONS[case.questions],
                rows,
                backbone,
                {name: dict(METHODS[name]) for name in case.methods},
            )
            write_text(folder / "params.yaml", yaml.safe_dump(params, sort_keys=False))
            benchmarks_stage.run(Study.model_validate(params), Folders(folder))
            write_task(self.task(case), rows, self.work / PICTURES, self.theirs.official_task, suffix, weights.longest)

    def measure(self, number: int, case: Case, done: Sequence[Run]) -> Iterator[Run | Agreement]:
        """Ours, then theirs, then how they agree.

        Where one process of ours answers several methods, theirs are those of this round.
        """
        rows = self.rows[case.questions]
        yield self.ours.answer(self.study(case), case, len(rows)).run(number, OURS, case, len(rows) * len(case.methods))
        if len(case.methods) > 1:
            yield _summed(number, case, done)
            return
        yield self.theirs.answer(self.task(case), case).run(number, THEIRS, case, len(rows))
        own, other = self.ours.texts(self.study(case), case.method), self.theirs.texts(self.task(case), rows)
        yield agreement(case.questions, case.method, own, other)


def _summed(number: int, case: Case, done: Sequence[Run]) -> Run:
    """lmms-eval's processes of one round, one after another."""
    alone = {Case(case.questions, (method,), case.threads) for method in case.methods}
    runs = [run for run in done if (run.round, run.side) == (number, THEIRS) and run.case in alone]
    sums = [
        sum(getattr(run, name) for run in runs) for name in ("rows", "whole_s", "start_s", "inside_s", "rows_inside")
    ]
    return Run(number, THEIRS, case, *sums)
