"""The tables that scoring writes."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import Field, dataclass, fields
from io import StringIO
from math import isfinite
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pruneproof.records import ANSWERS, TOKENS
from pruneproof.scoring.answers import Scored
from pruneproof.scoring.chance import most_frequent, sightless
from pruneproof.scoring.questions import Questions
from pruneproof.scoring.spreadsheet import inert

PER_ANSWER = pa.schema(
    [
        pa.field("backbone", pa.string(), nullable=False),
        pa.field("method", pa.string(), nullable=False),
        pa.field("family", pa.string(), nullable=False),
        pa.field("perturbation", pa.string(), nullable=False),
        pa.field("severity", pa.int32(), nullable=False),
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("prediction", pa.string(), nullable=False),
        pa.field("parseable", pa.bool_(), nullable=False),
        pa.field("correct", pa.float32()),
        pa.field("affirmed_absent", pa.bool_()),
        pa.field("flipped", pa.bool_()),
        pa.field("target_kept", pa.float32()),
        pa.field("overlap_clean", pa.float32()),
        *(ANSWERS.field(name) for name in TOKENS),
    ]
)
"""`per_answer.parquet`: one row per answer.

`correct` of a caption is the share of its mentions that are true (null if it mentions nothing), and its `prediction`
the classes it mentions; `affirmed_absent` is null unless the question asks for an absent object; `flipped` and
`overlap_clean` are null under the clean condition.
"""


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One row of `summary.csv`; shares in percent, nan (written as an empty field) where undefined."""

    backbone: str
    method: str
    family: str
    perturbation: str
    """Name, `clean`, or `mean` over the perturbations of the family."""
    severity: str
    """0 to 5, or `mean`."""
    metric: str
    value: float
    low: float
    high: float
    n: int
    """Answers that the value rests on: different questions, except in POPE's numbers; for a mean, summed."""


@dataclass(frozen=True, slots=True)
class ContrastRow:
    """One row of `contrasts.csv`: a paired difference between a method and the baseline, in percentage points."""

    backbone: str
    method: str
    baseline: str
    family: str
    perturbation: str
    severity: str
    metric: str
    value: float
    low: float
    high: float
    p: float
    p_holm: float
    """nan (empty) unless primary."""
    primary: bool


@dataclass(frozen=True, slots=True)
class EffectiveRow:
    """One row of `effective.csv`: a method beside random pruning to the same clean accuracy, in percent and points."""

    backbone: str
    method: str
    family: str
    severity: str
    """1 to 5, or `mean`."""
    conditions: int
    """Live conditions that the accuracies are means over."""
    clean: float
    """Accuracy on clean input, on the questions asked under these conditions."""
    perturbed: float
    predicted: float
    """Perturbed accuracy of random pruning to the same clean accuracy; nan for the baseline."""
    value: float
    """Effective robustness: perturbed minus predicted."""
    low: float
    high: float
    p: float
    p_holm: float
    """nan (empty) unless primary."""
    primary: bool


@dataclass(frozen=True, slots=True)
class CurveRow:
    """One row of `random_curve.csv`: perturbed accuracy of random pruning at one clean accuracy, in percent."""

    backbone: str
    family: str
    severity: str
    clean: float
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class OfficialRow:
    """One row of `official.csv`: what an official script prints for the same answers, on its own scale."""

    backbone: str
    method: str
    family: str
    perturbation: str
    severity: str
    scorer: str
    split: str
    """Of the samples; empty where they have none."""
    figure: str
    """Name in the script's output."""
    value: float
    n: int
    """Answers."""


@dataclass(frozen=True, slots=True)
class ChanceRow:
    """One row of `chance.csv`: what a model scores that gives every kind of question its most frequent answer."""

    metric: str
    """The accuracy that it is the floor of, such as `accuracy/all`."""
    answer: str
    """What such a model says; empty where that differs by kind."""
    value: float
    """Percent."""
    n: int


def chance_rows(questions: Questions) -> list[ChanceRow]:
    """The chance level of every kind of question, of all kinds that count together, and of scorers' splits."""
    kind = questions.kind[questions.first]
    rows = [_chance("accuracy/all", "", questions.sightless[questions.counted])]
    rows += [
        _chance(f"accuracy/{name}", questions.frequent[name], questions.sightless[kind == name])
        for name in questions.kinds
    ]
    for judged in questions.judged:
        for split in questions.splits:
            chosen = judged.samples[questions.split[judged.samples] == split]
            said = [
                truth.answers[0]
                for index, truth in zip(judged.samples, judged.truths, strict=True)
                if questions.split[index] == split
            ]
            if len(chosen):
                (answer,) = most_frequent([split] * len(said), said).values()
                rows.append(_chance(f"{judged.name}/accuracy_{split}", answer, sightless([split] * len(said), said)))
    return rows


def official_rows(backbone: str, method: str, scored: Scored, questions: Questions) -> Iterator[OfficialRow]:
    """What the script of every scorer prints under every condition, for each split."""
    for ruling in scored.rulings:
        own = ruling.judged
        for split in dict.fromkeys(questions.split[own.samples].tolist()):
            members = np.flatnonzero(questions.split[own.samples] == split)
            for row, c in enumerate(scored.conditions):
                chosen = members[ruling.prediction[row, members] >= 0]
                if not len(chosen):
                    continue
                said = [scored.predictions[code] for code in ruling.prediction[row, chosen].tolist()]
                truths = [own.truths[index] for index in chosen.tolist()]
                where = (backbone, method, c.family, c.perturbation, str(c.severity), own.name, split)
                for name, value in own.rule.figures(said, ruling.mark[row, chosen], truths).items():
                    yield OfficialRow(*where, name, value, len(chosen))


def _chance(metric: str, answer: str, correct: NDArray[np.float64]) -> ChanceRow:
    return ChanceRow(metric, answer, 100 * float(correct.mean()) if len(correct) else float("nan"), len(correct))


def per_answer(backbone: str, method: str, scored: Scored, questions: Questions) -> pa.Table:
    """The answers of one method as rows of `PER_ANSWER`, conditions in order and samples in the benchmark's order."""
    row, sample = np.nonzero(scored.present)

    def constant(value: str) -> pa.Array:
        return pa.repeat(pa.scalar(value), len(row))

    def condition(name: str, dtype: pa.DataType) -> pa.Array:
        return pa.array([getattr(c, name) for c in scored.conditions], dtype).take(pa.array(row))

    def taken(values: tuple[str, ...], codes: NDArray[np.int_]) -> pa.Array:
        return pa.array(values, pa.string()).take(pa.array(codes[row, sample]))

    def nullable(values: NDArray[np.float64], dtype: pa.DataType) -> pa.Array:
        flat = values[row, sample]
        return pa.array(flat, mask=~np.isfinite(flat)).cast(dtype)

    absent = questions.existence & ~questions.truth_yes
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "backbone": constant(backbone),
        "method": constant(method),
        "family": condition("family", pa.string()),
        "perturbation": condition("perturbation", pa.string()),
        "severity": condition("severity", pa.int32()),
        **{
            name: questions.table[name].take(pa.array(sample))
            for name in ("sample_id", "image_id", "kind", "split", "detail")
        },
        "text": taken(scored.texts, scored.text),
        "prediction": taken(scored.predictions, scored.prediction),
        "parseable": nullable(scored.parseable, pa.bool_()),
        "correct": nullable(scored.correct, pa.float32()),
        "affirmed_absent": nullable(np.where(absent, 1 - scored.correct, np.nan), pa.bool_()),
        "flipped": nullable(scored.flipped, pa.bool_()),
        "target_kept": nullable(scored.target_kept, pa.float32()),
        "overlap_clean": nullable(scored.overlap_clean, pa.float32()),
        **{name: nullable(getattr(scored, name), PER_ANSWER.field(name).type) for name in TOKENS},
    }
    return pa.table(columns, schema=PER_ANSWER)


class _Record(Protocol):
    """An instance of a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


Row = TypeVar("Row", bound=_Record)


def to_csv(kind: type[Row], rows: Iterable[Row]) -> str:
    """Rows as CSV with a header; numbers to six decimals, nan as an empty field, truth as `true` and `false`."""
    names = [field.name for field in fields(kind)]
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(getattr(row, name)) for name in names] for row in rows)
    return text.getvalue()


def _cell(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return inert(value)
    if not isinstance(value, float):
        return str(value)
    # Adding zero turns -0 into 0.
    return f"{round(value, 6) + 0.0:.6f}".rstrip("0").rstrip(".") if isfinite(value) else ""
