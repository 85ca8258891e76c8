"""Reading answers in bulk: every different text is parsed once for every different truth it is compared with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pruneproof.errors import PruneProofError
from pruneproof.files import read_table
from pruneproof.folders import Folders
from pruneproof.records import LOGITS
from pruneproof.scoring import parsing
from pruneproof.scoring.captions import hallucination
from pruneproof.scoring.matching import mentions
from pruneproof.scoring.questions import CaptionTruth, Questions

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]

_COUNTS = len(hallucination.CaptionCounts._fields)


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What answers say and whether it is true; arrays are (C, S) and explained in `answers.Scored`."""

    prediction: Ints
    predictions: tuple[str, ...]
    parseable: Floats
    correct: Floats
    captions: Floats


def read_answers(text: Ints, texts: tuple[str, ...], questions: Questions, truth: CaptionTruth) -> Readings:
    """Parse and judge.

    Args:
        text: (C, S) index into `texts`, -1 without an answer.
        texts: the different texts.
        questions: the benchmark.
        truth: what captions are compared with.
    """
    yardsticks: dict[tuple[parsing.AnswerType | None, str, frozenset[str]], int] = {}
    against = np.array(
        [
            yardsticks.setdefault(
                (None, "", present) if kind == "caption" else (how, true, frozenset()), len(yardsticks)
            )
            for kind, how, true, present in zip(
                questions.kind, questions.how, questions.truth, truth.present, strict=True
            )
        ]
    )
    here = text >= 0
    pairs, inverse = np.unique((against * max(len(texts), 1) + text)[here], return_inverse=True)
    known = list(yardsticks)
    codes: dict[str, int] = {}
    columns = np.full((len(pairs), 3 + _COUNTS), np.nan)
    for row, pair in enumerate(pairs.tolist()):
        how, true, present = known[pair // len(texts)]
        said = texts[pair % len(texts)]
        if how is None:
            named = mentions(said, truth.forms)
            counts = hallucination.count(said, named, present)
            share = 1 - counts.hallucinated / counts.mentioned if named else np.nan
            columns[row] = (codes.setdefault(", ".join(named), len(codes)), bool(named), share, *counts)
        else:
            parsed = parsing.parse(said, how)
            code = codes.setdefault(parsed.prediction, len(codes))
            columns[row, :3] = (code, parsed.parseable, parsed.prediction == true)
    dense = np.full((*text.shape, 3 + _COUNTS), np.nan)
    dense[here] = columns[inverse]
    return Readings(
        prediction=np.where(here, dense[..., 0], -1).astype(np.int_),
        predictions=tuple(codes),
        parseable=dense[..., 1],
        correct=dense[..., 2],
        captions=dense[..., 3:],
    )


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
