"""The stage `score_answers`: from answers to tables of scores; `tables` says what each holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from pruneproof import prompts, pruning
from pruneproof.backbones.checkpoints.depth import language_depth
from pruneproof.errors import PruneProofError
from pruneproof.files import read_table, replacing, write_json, write_text
from pruneproof.folders import Folders
from pruneproof.patches import read_patches
from pruneproof.records import ANSWERS, TOKENS
from pruneproof.scoring.answers import Scored, conditions_of, score
from pruneproof.scoring.bootstrap import draw_images
from pruneproof.scoring.contrasts import LEVELS, contrast, level_contrast, pairs, with_holm
from pruneproof.scoring.conversions import CONVERSIONS
from pruneproof.scoring.costs import flops_ratios
from pruneproof.scoring.equal_cost import EqualCostRow
from pruneproof.scoring.existence import MATCHED
from pruneproof.scoring.groups import Group, groups_of, live_conditions, with_live
from pruneproof.scoring.kinds import KindRow
from pruneproof.scoring.measured import Measured
from pruneproof.scoring.picks import PickRow
from pruneproof.scoring.questions import Questions, load_questions
from pruneproof.scoring.ranking import RankingRow, split_images
from pruneproof.scoring.reading import read_logits
from pruneproof.scoring.rephrased import measure_consensus
from pruneproof.scoring.rivals import RivalRows, Rivals, compare
from pruneproof.scoring.stability import accuracies, effective_robustness
from pruneproof.scoring.summary import BUDGET, corruption_errors, measure, retention, summarise
from pruneproof.scoring.tables import (
    PER_ANSWER,
    ChanceRow,
    ContrastRow,
    CurveRow,
    EffectiveRow,
    OfficialRow,
    SummaryRow,
    chance_rows,
    official_rows,
    per_answer,
    to_csv,
)
from pruneproof.scoring.targets import target_patches
from pruneproof.seeds import generator
from pruneproof.settings import Study

_COLUMNS = ("family", "perturbation", "severity", "sample_id", "text", "kept", *TOKENS)


def run(study: Study, folders: Folders) -> None:
    """Score every backbone and method of the study, one at a time; the same answers give the same bytes.

    Raises:
        PruneProofError: if a table is missing or does not fit the benchmark.
    """
    questions = load_questions(folders, study.scoring.kinds)
    bench = _Bench(
        questions=questions,
        draws=draw_images(questions.images, study.scoring.resamples, generator(study.study.seed, "bootstrap")),
        halves=split_images(questions.images, generator(study.study.seed, "halves")),
    )
    tables = _Tables([], [], [], [], [], RivalRows())
    with (
        replacing(folders.scores / "per_answer.parquet") as path,
        pq.ParquetWriter(path, PER_ANSWER, compression="zstd") as writer,
        Progress(console=Console(stderr=True)) as progress,
    ):
        task = progress.add_task("scoring", total=sum(len(study.methods_of(name)) for name in study.backbones))
        progress.live.transient = True  # what is refused before the first method leaves no empty bar
        for backbone in study.backbones:
            for rows in _score_backbone(study, folders, backbone, bench, tables):
                writer.write_table(rows)
                progress.live.transient = False
                progress.advance(task)
    for name, text in (
        ("summary", to_csv(SummaryRow, tables.summary)),
        ("contrasts", to_csv(ContrastRow, with_holm(tables.contrasts))),
        ("effective", to_csv(EffectiveRow, with_holm(tables.effective))),
        ("random_curve", to_csv(CurveRow, tables.curves)),
        ("official", to_csv(OfficialRow, tables.official)),
        ("chance", to_csv(ChanceRow, chance_rows(questions))),
        ("kinds", to_csv(KindRow, tables.rivals.kinds)),
        ("ranking", to_csv(RankingRow, tables.rivals.ranking)),
        ("equal_cost", to_csv(EqualCostRow, tables.rivals.equal_cost)),
        ("picks", to_csv(PickRow, tables.rivals.picks)),
    ):
        write_text(folders.scores / f"{name}.csv", text)
    decodings = {name: prompts.decoding(backbone) for name, backbone in study.backbones.items()}
    write_json(folders.scores / "decoding.json", decodings)


@dataclass(frozen=True, slots=True, eq=False)
class _Bench:
    """What all backbones and methods share."""

    questions: Questions
    draws: NDArray[np.float64]
    halves: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Found:
    """What is kept of every method of one backbone."""

    correct: dict[str, NDArray[np.float64]]
    """(C, U) correctness by unit."""
    levels: dict[str, dict[str, Measured]]
    """Each of `contrasts.LEVELS` by method; `existence.MATCHED` only where there are existence questions."""
    tokens: dict[str, float]
    """Visual tokens, mean over layers and clean questions."""


@dataclass(frozen=True, slots=True)
class _Tables:
    """Rows collected so far."""

    summary: list[SummaryRow]
    contrasts: list[ContrastRow]
    effective: list[EffectiveRow]
    curves: list[CurveRow]
    official: list[OfficialRow]
    rivals: RivalRows


def _score_backbone(
    study: Study, folders: Folders, backbone: str, bench: _Bench, tables: _Tables
) -> Iterator[pa.Table]:
    """Yield the scored answers of each method, the baseline's first, and add to the other tables on the way."""
    settings, questions = study.scoring, bench.questions
    answers = _answers(folders, backbone, settings.baseline)
    conditions = conditions_of(answers, (*study.perturbations.image.names, *study.perturbations.text.names))
    patches, images = read_patches(folders.patches / f"{backbone}.parquet"), study.perturbations.image
    plain = target_patches(folders, questions, patches)
    cut = target_patches(folders, questions, patches, images.model_pixels) if images.resolution == "model" else plain
    targets = [cut if condition.family == "image" else plain for condition in conditions]

    named = study.backbones[backbone].answer_conversion

    def scored_answers(method: str, answers: pa.Table) -> Scored:
        logits = read_logits(folders, backbone, method)
        return score(answers, logits, conditions, questions, targets, CONVERSIONS[named])

    full = scored_answers(settings.baseline, answers)
    del answers  # of a large benchmark, more than a gigabyte
    found = _Found({settings.baseline: questions.by_unit(full.correct)}, {name: {} for name in LEVELS}, {})
    correct = found.correct
    live = live_conditions(conditions, retention(correct[settings.baseline], questions, bench.draws).value)
    groups = with_live(groups_of(conditions), live)
    for method in sorted(study.methods_of(backbone), key=lambda name: name != settings.baseline):
        first = method == settings.baseline
        scored = full if first else scored_answers(method, _answers(folders, backbone, method))
        correct[method] = questions.by_unit(scored.correct)
        metrics = list(measure(scored, full, questions, bench.draws))
        for metric in metrics:
            if metric.name in found.levels:
                found.levels[metric.name][method] = metric
        found.tokens.update((method, float(metric.value[0])) for metric in metrics if metric.name == BUDGET)
        tables.summary.extend(summarise(backbone, method, metrics, groups, settings.confidence))
        for group, value, n in corruption_errors(correct[method], correct[settings.baseline], questions, groups):
            where = (backbone, method, group.family, group.perturbation, group.severity)
            tables.summary.append(SummaryRow(*where, "robust/corruption_error", 100 * value, np.nan, np.nan, n))
        asked = questions.counted
        marks, image = correct[method][:, asked], questions.image[questions.first[asked]]
        for group, metric in measure_consensus(marks, conditions, image, bench.draws):
            tables.summary.extend(summarise(backbone, method, [metric], [group], settings.confidence))
        tables.official.extend(official_rows(backbone, method, scored, questions))
        yield per_answer(backbone, method, scored, questions)
    checkpoint = folders.study / study.study.root / study.backbones[backbone].checkpoint
    layers = language_depth(checkpoint) or pruning.REFERENCE_LAYERS
    _compare(study, backbone, bench, groups, found, tables, layers)
    flops = flops_ratios(folders.costs / "flops.csv", backbone, settings.baseline)
    _compare_rivals(study, backbone, bench, groups, found, flops, tables)


def _compare(
    study: Study,
    backbone: str,
    bench: _Bench,
    groups: list[Group],
    found: _Found,
    tables: _Tables,
    layers: int,
) -> None:
    """Methods side by side."""
    correct = found.correct
    settings, common, methods = study.scoring, (groups, study.scoring.confidence), study.methods_of(backbone)
    for method, other in pairs(methods, settings.baseline, layers):
        primary = method in settings.primary and other == settings.baseline
        own = (backbone, method, other, correct[method], correct[other])
        tables.contrasts.extend(contrast(*own, bench.questions, *common, primary))
        for level in found.levels.values():
            if method in level:
                both = (level[method], level[other])
                tables.contrasts.extend(level_contrast(backbone, method, other, *both, *common))
    standing = accuracies(correct, bench.questions, bench.draws)
    rows, curves = effective_robustness(backbone, standing, methods, settings, groups)
    tables.effective.extend(rows)
    tables.curves.extend(curves)


def _compare_rivals(
    study: Study,
    backbone: str,
    bench: _Bench,
    groups: list[Group],
    found: _Found,
    flops: dict[str, float],
    tables: _Tables,
) -> None:
    """Methods against each other; `flops` over the baseline's."""
    rivals = Rivals(
        backbone=backbone,
        methods=study.methods_of(backbone),
        scoring=study.scoring,
        tokens=found.tokens,
        flops=flops,
        whole=accuracies(found.correct, bench.questions, bench.draws),
        halves=accuracies(found.correct, bench.questions, bench.halves),
        matched=found.levels[MATCHED],
    )
    tables.rivals.extend(compare(rivals, groups))


def _answers(folders: Folders, backbone: str, method: str) -> pa.Table:
    table = read_table(folders.answers_of(backbone, method), _COLUMNS)
    wanted = pa.schema([ANSWERS.field(name) for name in _COLUMNS])
    try:
        return table.cast(wanted)
    except (pa.ArrowException, ValueError) as error:
        first = str(error).splitlines()[0]
        raise PruneProofError(f"answers/{backbone}/{method}.parquet does not fit ({first}): run `dvc repro`") from None
