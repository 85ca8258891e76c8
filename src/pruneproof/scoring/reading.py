"""Judging answers in bulk: every different text is read once for every different truth it is compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pruneproof.errors import PruneProofError
from pruneproof.files import read_table
from pruneproof.folders import Folders
from pruneproof.records import LOGITS
from pruneproof.scoring.questions import Judged, Questions
from pruneproof.scoring.scorers import Ratios, prepared

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]
Convert = Callable[[str], str]


@dataclass(frozen=True, slots=True, eq=False)
class Ruling:
    """What one scorer says about the answers to its N samples under C conditions."""

    judged: Judged
    prediction: Ints
    """(C, N) index into the predictions of all scorers, -1 without an answer."""
    parseable: Floats
    """(C, N) 1 where the rule finds in the text what it looks for; nan without an answer."""
    mark: Floats
    """(C, N) nan without an answer, and where right and wrong do not apply."""


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What answers say and whether it is true; arrays are (C, S) and explained in `answers.Scored`."""

    prediction: Ints
    predictions: tuple[str, ...]
    parseable: Floats
    correct: Floats
    rulings: tuple[Ruling, ...]
    """In the order of `Questions.judged`."""


def read_answers(text: Ints, texts: tuple[str, ...], questions: Questions, convert: Convert) -> Readings:
    """Read and judge by every scorer.

    Args:
        text: (C, S) index into `texts`, -1 without an answer.
        texts: the different texts.
        questions: the benchmark.
        convert: what the model's authors do to a text before a scorer sees it, see `conversions`.
    """
    codes: dict[str, int] = {}
    converted = [convert(said) for said in texts]
    rulings = tuple(_ruling(text[:, one.samples], converted, one, codes) for one in questions.judged)
    prediction = np.full(text.shape, -1)
    parseable, correct = np.full((2, *text.shape), np.nan)
    for number, ruling in enumerate(rulings):
        own = questions.first_rule[ruling.judged.samples] == number
        columns = ruling.judged.samples[own]
        prediction[:, columns] = ruling.prediction[:, own]
        parseable[:, columns] = ruling.parseable[:, own]
        correct[:, columns] = np.where(questions.scored[columns], ruling.mark[:, own], np.nan)
    named = tuple(codes)
    if not questions.kinds:
        for number, ruling in enumerate(rulings):
            own = questions.first_rule[ruling.judged.samples] == number
            if own.any() and not np.isfinite(ruling.mark[:, own]).any():
                correct[:, ruling.judged.samples[own]] = _headline(ruling, named)[:, own]
    return Readings(prediction, named, parseable, correct, rulings)


def ratios_of(ruling: Ruling, named: tuple[str, ...], row: int, chosen: Ints) -> Ratios:
    """A scorer's ratios over some of its samples under one condition.

    Args:
        ruling: of the scorer.
        named: the different predictions.
        row: of the condition.
        chosen: indices into the scorer's samples, all of them answered.
    """
    said = [named[code] for code in ruling.prediction[row, chosen].tolist()]
    truths = [ruling.judged.truths[index] for index in chosen.tolist()]
    return ruling.judged.rule.ratios(said, ruling.mark[row, chosen], truths)


def _ruling(text: Ints, texts: list[str], judged: Judged, codes: dict[str, int]) -> Ruling:
    """Judge by one scorer; predictions that are new are numbered."""
    used = np.unique(text[text >= 0]).tolist()
    asked = dict(zip(used, prepared(judged.rule, [texts[code] for code in used], judged.shared), strict=True))
    here = text >= 0
    many = max(len(texts), 1)
    pairs, start, inverse = np.unique((judged.same * many + text)[here], return_index=True, return_inverse=True)
    column = np.broadcast_to(np.arange(text.shape[1]), text.shape)[here]
    rows = np.full((len(pairs), 3), np.nan)
    for row, (pair, index) in enumerate(zip(pairs.tolist(), column[start].tolist(), strict=True)):
        truth = judged.truths[index]
        reading = judged.rule.read(asked[pair % many], truth)
        mark = judged.rule.mark(reading.prediction, truth)
        rows[row] = (codes.setdefault(reading.prediction, len(codes)), reading.parseable, mark)
    dense = np.full((*text.shape, 3), np.nan)
    dense[here] = rows[inverse]
    return Ruling(judged, np.where(here, dense[..., 0], -1).astype(np.int_), dense[..., 1], dense[..., 2])


def _headline(ruling: Ruling, named: tuple[str, ...]) -> Floats:
    """(C, N) the scorer's first score of each sample, which is a mean over samples; nan where it does not count."""
    found = np.full(ruling.mark.shape, np.nan)
    for row, codes in enumerate(ruling.prediction):
        chosen = np.flatnonzero(codes >= 0)
        for part, whole in list(ratios_of(ruling, named, row, chosen).values())[:1] if len(chosen) else ():
            found[row, chosen] = np.divide(part, whole, out=np.full(len(chosen), np.nan), where=whole > 0)
    return found


def read_logits(folders: Folders, backbone: str, method: str) -> pa.Table:
    """Logits of `yes` and `no` of one backbone and method: schema `records.LOGITS`, rows in the order of the answers.

    Two of them that differ by no more than `records.LOGIT_NOISE` count as equal.

    Raises:
        PruneProofError: if the table is missing or has other columns.
    """
    table = read_table(folders.logits_of(backbone, method), LOGITS.names)
    try:
        return table.cast(LOGITS)
    except (pa.ArrowException, ValueError) as error:
        first = str(error).splitlines()[0]
        raise PruneProofError(f"logits/{backbone}/{method}.parquet does not fit ({first}): run `dvc repro`") from None
