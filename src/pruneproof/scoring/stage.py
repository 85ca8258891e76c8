"""The stage `score_answers`: answers to `per_answer.parquet`, `summary.csv` and `contrasts.csv`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from pruneproof.errors import PruneProofError
from pruneproof.files import read_table, replacing, write_text
from pruneproof.folders import Folders
from pruneproof.patches import read_patches
from pruneproof.records import ANSWERS
from pruneproof.scoring.answers import conditions_of, score
from pruneproof.scoring.contrasts import contrast, pairs, with_holm
from pruneproof.scoring.groups import groups_of
from pruneproof.scoring.questions import CaptionTruth, Questions, load_caption_truth, load_questions
from pruneproof.scoring.statistics import draw_images
from pruneproof.scoring.summary import summarise
from pruneproof.scoring.tables import PER_ANSWER, ContrastRow, SummaryRow, per_answer, to_csv
from pruneproof.scoring.targets import target_patches
from pruneproof.seeds import generator
from pruneproof.settings import Study

_COLUMNS = ("family", "perturbation", "severity", "sample_id", "text", "kept", "visual_tokens")


def run(study: Study, folders: Folders) -> None:
    """Score every backbone and method of the study, one at a time; the same answers give the same bytes.

    Raises:
        PruneProofError: if a table is missing or does not fit the benchmark.
    """
    questions = load_questions(folders, study.scoring.kinds)
    bench = _Bench(
        questions=questions,
        captions=load_caption_truth(folders, questions),
        draws=draw_images(questions.images, study.scoring.resamples, generator(study.study.seed, "bootstrap")),
    )
    tables = _Tables([], [])
    with (
        replacing(folders.scores / "per_answer.parquet") as path,
        pq.ParquetWriter(path, PER_ANSWER, compression="zstd") as writer,
        Progress(console=Console(stderr=True)) as progress,
    ):
        task = progress.add_task("scoring", total=len(study.backbones) * len(study.methods))
        for backbone in study.backbones:
            for rows in _score_backbone(study, folders, backbone, bench, tables):
                writer.write_table(rows)
                progress.advance(task)
    write_text(folders.scores / "summary.csv", to_csv(SummaryRow, tables.summary))
    write_text(folders.scores / "contrasts.csv", to_csv(ContrastRow, with_holm(tables.contrasts)))


@dataclass(frozen=True, slots=True, eq=False)
class _Bench:
    """What all backbones and methods share."""

    questions: Questions
    captions: CaptionTruth
    draws: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Tables:
    """Rows collected so far."""

    summary: list[SummaryRow]
    contrasts: list[ContrastRow]


def _score_backbone(
    study: Study, folders: Folders, backbone: str, bench: _Bench, tables: _Tables
) -> Iterator[pa.Table]:
    """Yield the scored answers of each method, the baseline's first, and add to the other tables on the way."""
    settings, questions = study.scoring, bench.questions
    answers = _answers(folders, backbone, settings.baseline)
    conditions = conditions_of(answers, (*study.perturbations.image.names, *study.perturbations.text.names))
    groups = groups_of(conditions)
    patches, images = read_patches(folders.patches / f"{backbone}.parquet"), study.perturbations.image
    plain = target_patches(folders, questions, patches)
    cut = target_patches(folders, questions, patches, images.model_pixels) if images.resolution == "model" else plain
    targets = [cut if condition.family == "image" else plain for condition in conditions]
    common = (questions, bench.draws, groups, settings.confidence)
    correct: dict[str, NDArray[np.float64]] = {}
    for method in sorted(study.methods, key=lambda name: name != settings.baseline):
        if method != settings.baseline:
            answers = _answers(folders, backbone, method)
        scored = score(answers, conditions, questions, bench.captions, targets)
        correct[method] = questions.by_unit(scored.correct)
        tables.summary.extend(summarise(backbone, method, scored, correct[settings.baseline], *common))
        yield per_answer(backbone, method, scored, questions)
    for method, other in pairs(study.methods, settings.baseline):
        primary = method in settings.primary and other == settings.baseline
        tables.contrasts.extend(contrast(backbone, method, other, correct[method], correct[other], *common, primary))


def _answers(folders: Folders, backbone: str, method: str) -> pa.Table:
    table = read_table(folders.answers_of(backbone, method), _COLUMNS)
    wanted = pa.schema([ANSWERS.field(name) for name in _COLUMNS])
    try:
        return table.cast(wanted)
    except (pa.ArrowException, ValueError) as error:
        first = str(error).splitlines()[0]
        raise PruneProofError(f"answers/{backbone}/{method}.parquet does not fit ({first}): run `dvc repro`") from None
