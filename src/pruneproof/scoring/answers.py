"""Every answer of one backbone and method, scored: dense arrays of conditions x samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pruneproof.errors import PruneProofError
from pruneproof.records import CLEAN, TOKENS, Condition, Family
from pruneproof.scoring import kept, robustness
from pruneproof.scoring.conversions import as_it_is
from pruneproof.scoring.questions import Questions
from pruneproof.scoring.reading import Convert, Ruling, read_answers

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Answers of one method. Arrays are (C, S), conditions x samples; row 0 is the clean condition.

    Scores are nan where there is no answer or the score does not apply.
    """

    conditions: tuple[Condition, ...]
    present: Bools
    """Whether there is an answer."""
    text: Ints
    """Index into `texts`, -1 without an answer."""
    texts: tuple[str, ...]
    prediction: Ints
    """Index into `predictions`, -1 without an answer."""
    predictions: tuple[str, ...]
    parseable: Floats
    """1 where exactly one value was named."""
    correct: Floats
    """What the sample's first scorer gives, 0 to 1: 1 or 0 for most; for CHAIR the share of a caption's mentions that
    are true, nan if it mentions nothing. Where nothing but captions is asked, the scorer's first score (CIDEr-D)."""
    flipped: Floats
    """1 where the prediction differs from the same method's on clean input; nan under the clean condition."""
    rulings: tuple[Ruling, ...]
    """What every scorer says."""
    target_kept: Floats
    """Share of the asked object's patches that were kept."""
    overlap_clean: Floats
    """Jaccard overlap of the kept tokens with those on clean input; nan under the clean condition."""
    visual_tokens: Floats
    """Visual tokens that a method leaves where it acts."""
    input_tokens: Floats
    """Visual tokens that the language model's first layer read."""
    mean_tokens: Floats
    """Mean over its layers."""
    sequence_length: Floats
    """All tokens of the prompt that its first layer read."""
    margin: Floats
    """Logit of `yes` minus logit of `no` at the first generated position; nan for other questions than existence."""


def conditions_of(answers: pa.Table, order: Sequence[str]) -> tuple[Condition, ...]:
    """The conditions of an answers table by family in the order of `records.Family`, then by name and severity.

    Args:
        answers: of the baseline.
        order: names of perturbations; others follow them in the order of the alphabet.

    Raises:
        PruneProofError: if the clean condition is missing.
    """
    families = get_args(Family)
    place = {name: index for index, name in enumerate(order)}
    names = ["family", "perturbation", "severity"]
    found = [Condition(**row) for row in answers.select(names).group_by(names).aggregate([]).to_pylist()]
    if CLEAN not in found:
        raise PruneProofError("answers: the clean condition is missing; run `dvc repro answer_questions`")
    return tuple(
        sorted(
            found,
            key=lambda c: (
                families.index(c.family),
                place.get(c.perturbation, len(place)),
                c.perturbation,
                c.severity,
            ),
        )
    )


def score(
    answers: pa.Table,
    logits: pa.Table,
    conditions: tuple[Condition, ...],
    questions: Questions,
    targets: Sequence[Bools],
    convert: Convert = as_it_is,
) -> Scored:
    """Score the answers of one method.

    Args:
        answers: columns of `records.ANSWERS`.
        logits: columns of `records.LOGITS`.
        conditions: those of the baseline, from `conditions_of`.
        questions: the benchmark.
        targets: for each condition (S, N) patches of the asked objects, from `target_patches`.
        convert: what the model's authors do to a text before a scorer sees it, see `conversions`.

    Raises:
        PruneProofError: for an unknown sample or condition, two answers to one question, or an impossible token.
    """
    shape = (len(conditions), len(questions.kind))
    cell = _cells(answers, conditions, questions)
    text, texts = _dense_codes(answers["text"], cell, shape)
    read = read_answers(text, texts, questions, convert)
    flipped = robustness.flips(read.prediction[0], read.prediction)
    flipped[0] = np.nan
    overlap = np.full(shape, np.nan)
    target_kept = np.full(shape, np.nan)
    both = (text >= 0) & (text[0] >= 0)
    clean = _bits(answers, cell, 0, targets[0])
    for row in range(shape[0]):
        bits = _bits(answers, cell, row, targets[row]) if row else clean
        target_kept[row] = kept.share_kept(bits, targets[row])
        if row:
            overlap[row] = np.where(both[row], kept.jaccard(bits, clean), np.nan)
    tokens = {name: np.full(shape, np.nan) for name in TOKENS}
    for name, values in tokens.items():
        values.reshape(-1)[cell] = answers[name].to_numpy()
    margin = np.full(shape, np.nan)
    margin.reshape(-1)[_cells(logits, conditions, questions)] = pc.subtract(
        pc.cast(logits["yes_logit"], pa.float64()), pc.cast(logits["no_logit"], pa.float64())
    ).to_numpy()
    margin[:, ~questions.existence] = np.nan
    return Scored(
        conditions=conditions,
        present=text >= 0,
        text=text,
        texts=texts,
        prediction=read.prediction,
        predictions=read.predictions,
        parseable=read.parseable,
        correct=read.correct,
        flipped=flipped,
        rulings=read.rulings,
        target_kept=target_kept,
        overlap_clean=overlap,
        **tokens,
        margin=margin,
    )


def in_the_words_of(scored: Scored, other: Scored) -> Ints:
    """The other's predictions as (C, S) indices into the `predictions` of the first, -1 without an answer.

    Each method numbers its predictions independently; only in one numbering can answers be compared. What the first
    never says becomes one number beyond its own.
    """
    known = {prediction: code for code, prediction in enumerate(scored.predictions)}
    codes: Ints = np.array([*(known.get(prediction, len(known)) for prediction in other.predictions), -1])
    return codes[other.prediction]


def _bits(answers: pa.Table, cell: Ints, row: int, target: Bools) -> Bools:
    """The kept patches of one condition, (S, N) as `target`: those of all conditions at once may not fit in memory."""
    condition, sample = np.divmod(cell, len(target))
    here = condition == row
    bits = np.zeros(target.shape, bool)
    bits[sample[here]] = kept.kept_bits(_one_chunk(answers["kept"].filter(pa.array(here))), target.shape[1])
    return bits


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined.combine_chunks() if isinstance(combined, pa.ChunkedArray) else combined


def _cells(answers: pa.Table, conditions: tuple[Condition, ...], questions: Questions) -> Ints:
    """Flat index of each answer in the (conditions, samples) arrays."""
    sample = pc.index_in(answers["sample_id"], value_set=_one_chunk(questions.table["sample_id"]))
    if sample.null_count:
        unknown = answers["sample_id"].filter(pc.is_null(sample))[0].as_py()
        raise PruneProofError(f"answers: sample {unknown!r} is not in the benchmark; run `dvc repro answer_questions`")
    names = [_name(c.family, c.perturbation, c.severity) for c in conditions]
    joined = pc.binary_join_element_wise(
        answers["family"], answers["perturbation"], pc.cast(answers["severity"], pa.string()), "\x1f"
    )
    row = pc.index_in(joined, value_set=pa.array(names))
    if row.null_count:
        unknown = answers.filter(pc.is_null(row)).select(["perturbation", "severity"]).slice(0, 1).to_pylist()[0]
        raise PruneProofError(
            f"answers: condition {unknown['perturbation']}_{unknown['severity']} has no answers of the baseline to "
            "compare with; run `dvc repro answer_questions`"
        )
    cell: Ints = row.to_numpy().astype(np.int_) * len(questions.kind) + sample.to_numpy()
    seen, times = np.unique(cell, return_counts=True)
    if times.size and times.max() > 1:
        twice = seen[times.argmax()]
        name = questions.table["sample_id"][int(twice % len(questions.kind))].as_py()
        where = conditions[int(twice // len(questions.kind))].condition_id
        raise PruneProofError(f"answers: {name!r} is answered twice under {where}; run `dvc repro answer_questions`")
    return cell


def _name(family: str, perturbation: str, severity: int) -> str:
    return "\x1f".join((family, perturbation, str(severity)))


def _dense_codes(column: pa.ChunkedArray, cell: Ints, shape: tuple[int, int]) -> tuple[Ints, tuple[str, ...]]:
    encoded = _one_chunk(column).dictionary_encode()
    codes = np.full(shape, -1)
    codes.reshape(-1)[cell] = encoded.indices.to_numpy()
    return codes, tuple(encoded.dictionary.to_pylist())
