"""The benchmark's questions as arrays, and the rules and truths that answers are judged by."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pruneproof.errors import PruneProofError
from pruneproof.files import read_json, read_table
from pruneproof.folders import Folders
from pruneproof.records import EXISTENCE
from pruneproof.scoring.chance import most_frequent
from pruneproof.scoring.scorers import Scorer, Truth, prepared, scorer
from pruneproof.scoring.statistics import sum_by_image

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]
Bools = NDArray[np.bool_]
Strings = NDArray[np.object_]

_COLUMNS = (
    "sample_id", "image_id", "kind", "question", "answer", "split", "detail", "target_objects", "scorers", "answers",
    "facts", "asks",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The N samples that one scorer judges."""

    name: str
    rule: Scorer
    shared: Mapping[str, Any]
    """Facts that all samples share."""
    samples: Ints
    """(N) indices of samples, ascending."""
    truths: tuple[Truth, ...]
    """(N) what their answers are held against."""
    same: Ints
    """(N) number of the truth; samples of one number have equal truths."""


@dataclass(frozen=True, slots=True, eq=False)
class Questions:
    """S samples on I images, and the U different questions among them.

    POPE asks many questions in several splits; such samples share one unit, so that each (image, question) counts once
    in every score but the scorers' own.
    """

    table: pa.Table
    """`samples.parquet`, the columns that scores need, in its order."""
    image: Ints
    """(S) index of the image."""
    images: int
    kind: Strings
    split: Strings
    detail: Strings
    """(S) as in `records.Sample`."""
    caption: Bools
    """(S) whether a description is asked for."""
    judged: tuple[Judged, ...]
    """Every scorer, in order of first appearance."""
    first_rule: Ints
    """(S) index into `judged` of the scorer that decides what is right."""
    scored: Bools
    """(S) whether its own answer counts; the others are asked for the sake of a score that needs them beside another
    question, such as GQA's consistency."""
    truth_yes: Bools
    """(S) whether it is an existence question whose true answer is `yes`."""
    unit: Ints
    """(S) index of the different question."""
    first: Ints
    """(U) the first sample of each unit."""
    counted: Bools
    """(U) whether the unit enters `accuracy/all` and all that is made from it."""
    frequent: Mapping[str, str]
    """The most frequent true answer of every kind but captions, see `chance`."""
    sightless: Floats
    """(U) what giving every kind's most frequent answer scores, 0 to 1; 0 for captions."""

    @property
    def existence(self) -> Bools:
        """(S) whether it is asked if an object is there."""
        return np.asarray(self.kind == EXISTENCE, bool)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of question in order of first appearance, captions excluded."""
        return tuple(dict.fromkeys(self.kind[~self.caption].tolist()))

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits in order of first appearance."""
        return tuple(split for split in dict.fromkeys(self.split.tolist()) if split)

    def by_unit(self, values: Floats) -> Floats:
        """(K, S) values to (K, U): the mean over a unit's samples, nan left out and nan where all are."""
        known = np.isfinite(values)
        count = sum_by_image(known.astype(float), self.unit, len(self.first))
        total = sum_by_image(np.where(known, values, 0.0), self.unit, len(self.first))
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def load_questions(folders: Folders, kinds: Collection[str] = ()) -> Questions:
    """Read `samples.parquet` and `shared.json`.

    Args:
        folders: of the study.
        kinds: kinds of question that enter `accuracy/all`; none for all of them. Where nothing but captions is asked,
            captions enter it, by the first score of their scorer.

    Raises:
        PruneProofError: if it is missing or empty, names a scorer that there is not, an existence question's truth is
            neither yes nor no, none of the kinds is asked, or true answers are not published.
    """
    table = read_table(folders.benchmark / "samples.parquet", _COLUMNS)
    rows = table.to_pydict()
    if not table.num_rows:
        raise PruneProofError(f"{folders.benchmark / 'samples.parquet'} is empty: run `dvc repro draw_scenes`")
    if "[]" in rows["scorers"]:
        name = rows["sample_id"][rows["scorers"].index("[]")]
        raise PruneProofError(
            f"the true answer to {name} is not published, so that nothing can be scored here: write the file for the "
            "authors' server instead (`python -m pruneproof export_results`)"
        )
    kind, split = np.array(rows["kind"], object), np.array(rows["split"], object)
    caption = np.array(rows["asks"], object) == "caption"
    existence = kind == EXISTENCE
    for index in np.flatnonzero(existence).tolist():
        if rows["answer"][index] not in ("yes", "no"):
            name, answer = rows["sample_id"][index], rows["answer"][index]
            raise PruneProofError(f"samples.parquet: answer of existence question {name} is {answer!r}; use yes or no")
    image_names, image = _codes(rows["image_id"])
    keys = [
        (image_id, question) if part else name
        for image_id, question, part, name in zip(
            rows["image_id"], rows["question"], rows["split"], rows["sample_id"], strict=True
        )
    ]
    _, unit = _codes(keys)
    _, first = np.unique(unit, return_index=True)
    judged, first_rule = _judged(rows, read_json(folders.benchmark / "shared.json"))
    scored = _scored(judged, first_rule, caption)
    known = tuple(dict.fromkeys(kind[~caption].tolist()))
    if kinds and known and not set(kinds).intersection(known):
        named, asked_kinds = ", ".join(kinds), ", ".join(known)
        raise PruneProofError(f"scoring.kinds: {named} is not asked; the benchmark's kinds: {asked_kinds}")
    chosen = np.isin(kind[first].astype(str), list(kinds or known)) & ~caption[first] & scored[first]
    asked = first[~caption[first]].tolist()
    frequent = most_frequent([rows["kind"][i] for i in asked], [_written(rows, i) for i in asked])
    return Questions(
        table=table,
        image=image,
        images=len(image_names),
        kind=kind,
        split=split,
        detail=np.array(rows["detail"], object),
        caption=caption,
        judged=judged,
        first_rule=first_rule,
        scored=scored,
        truth_yes=existence & (np.array(rows["answer"], object) == "yes"),
        unit=unit,
        first=first,
        counted=chosen if known else np.ones(len(first), bool),
        frequent=frequent,
        sightless=_sightless(judged, first_rule, kind, caption, frequent)[first],
    )


def _written(rows: Mapping[str, list[Any]], index: int) -> str:
    """A sample's true answer as a scorer wants to read it: where there is one alone, in its authors' writing."""
    answers: list[str] = json.loads(rows["answers"][index])
    shown: str = rows["answer"][index]
    return answers[0] if len(answers) == 1 else shown


def _judged(rows: Mapping[str, list[Any]], shared: Mapping[str, Any]) -> tuple[tuple[Judged, ...], Ints]:
    """Every scorer with its samples, and for each sample the index of its first scorer."""
    named = [json.loads(names) for names in rows["scorers"]]
    order, _ = _codes([name for names in named for name in names])
    place = {name: index for index, name in enumerate(order)}
    judged = []
    for name in place:
        samples = [index for index, names in enumerate(named) if name in names]
        numbers: dict[tuple[str, str, str], int] = {}
        same = [
            numbers.setdefault((rows["answer"][i], rows["answers"][i], rows["facts"][i]), len(numbers)) for i in samples
        ]
        rule = scorer(str(name))
        truths = [
            Truth(tuple(json.loads(answers)) or (answer,), {**shared, **json.loads(facts)})
            for answer, answers, facts in numbers
        ]
        truths = _prepared(rule, truths, shared)
        judged.append(
            Judged(str(name), rule, shared, np.array(samples, int), tuple(truths[i] for i in same), np.array(same, int))
        )
    return tuple(judged), np.array([place[names[0]] for names in named])


def _prepared(rule: Scorer, truths: Sequence[Truth], shared: Mapping[str, Any]) -> list[Truth]:
    """The true answers as the scorer reads a model's, all prepared at once."""
    texts = list(dict.fromkeys(answer for truth in truths for answer in truth.answers))
    found = dict(zip(texts, prepared(rule, texts, shared), strict=True))
    return [Truth(tuple(found[answer] for answer in truth.answers), truth.facts) for truth in truths]


def _scored(judged: Sequence[Judged], first_rule: Ints, caption: Bools) -> Bools:
    """(S) whether a sample has a share in the first ratio of its first scorer, which no prediction decides; always, for
    captions."""
    found = np.ones(len(first_rule), bool)
    for number, own in enumerate(judged):
        chosen = (first_rule[own.samples] == number) & ~caption[own.samples]
        if not chosen.any():
            continue
        ratios = own.rule.ratios([""] * len(own.truths), np.zeros(len(own.truths)), own.truths)
        for _, whole in list(ratios.values())[:1]:
            found[own.samples[chosen]] = whole[chosen] > 0
    return found


def _sightless(
    judged: Sequence[Judged], first_rule: Ints, kind: Strings, caption: Bools, frequent: Mapping[str, str]
) -> Floats:
    """(S) what every kind's most frequent answer scores by each sample's first scorer."""
    found = np.zeros(len(kind))
    for number, own in enumerate(judged):
        known: dict[tuple[str, int], float] = {}
        for sample, truth, same in zip(own.samples.tolist(), own.truths, own.same.tolist(), strict=True):
            if first_rule[sample] != number or caption[sample]:
                continue
            key = (kind[sample], same)
            if key not in known:
                known[key] = own.rule.mark(own.rule.read(frequent[kind[sample]], truth).prediction, truth)
            found[sample] = known[key]
    return found


def _codes(keys: Sequence[object]) -> tuple[list[object], Ints]:
    """Different keys in order of first appearance, and the index of each key among them."""
    index: dict[object, int] = {}
    codes = np.array([index.setdefault(key, len(index)) for key in keys], dtype=np.int_)
    return list(index), codes
