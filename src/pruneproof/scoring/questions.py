"""The benchmark's questions as arrays, and the ground truth that answers are compared with."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pruneproof.errors import PruneProofError
from pruneproof.files import read_json, read_rows, read_table
from pruneproof.folders import Folders
from pruneproof.records import KINDS
from pruneproof.scoring import parsing
from pruneproof.scoring.chance import sightless
from pruneproof.scoring.matching import SurfaceForms, surface_forms
from pruneproof.scoring.statistics import sum_by_image

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]
Strings = NDArray[np.object_]

ANSWERED = tuple(kind for kind in KINDS if kind != "caption")

_COLUMNS = ("sample_id", "image_id", "kind", "question", "answer", "split", "detail", "target_objects")


@dataclass(frozen=True, slots=True, eq=False)
class Questions:
    """S samples on I images, and the U different questions among them.

    POPE asks many questions in several splits; such samples share one unit, so that each (image, question) counts once
    in every score but POPE's own.
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
    truth: tuple[str, ...]
    """(S) the true answer, read as a model's answer is."""
    how: tuple[parsing.AnswerType, ...]
    """(S) how the answer is read."""
    unit: Ints
    """(S) index of the different question."""
    first: Ints
    """(U) the first sample of each unit."""
    counted: NDArray[np.bool_]
    """(U) whether the unit enters `accuracy/all` and all that is made from it."""
    sightless: Floats
    """(U) whether giving every kind's most frequent answer is right, see `chance`."""

    @property
    def truth_yes(self) -> NDArray[np.bool_]:
        """(S) whether the true answer is `yes`."""
        return np.array([truth == "yes" for truth in self.truth], bool)

    def by_unit(self, values: Floats) -> Floats:
        """(K, S) values to (K, U): the mean over a unit's samples, nan left out and nan where all are."""
        known = np.isfinite(values)
        count = sum_by_image(known.astype(float), self.unit, len(self.first))
        total = sum_by_image(np.where(known, values, 0.0), self.unit, len(self.first))
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def load_questions(folders: Folders, kinds: Collection[str] = ANSWERED) -> Questions:
    """Read `samples.parquet`.

    Args:
        folders: of the study.
        kinds: kinds of question that enter `accuracy/all`.

    Raises:
        PruneProofError: if it is missing or empty, or an existence question's truth is neither yes nor no.
    """
    table = read_table(folders.benchmark / "samples.parquet", _COLUMNS)
    rows = table.to_pydict()
    if not table.num_rows:
        raise PruneProofError(f"{folders.benchmark / 'samples.parquet'} is empty: run `dvc repro draw_scenes`")
    how = tuple(parsing.answer_type(kind, answer) for kind, answer in zip(rows["kind"], rows["answer"], strict=True))
    for name, kind, answer in zip(rows["sample_id"], how, rows["answer"], strict=True):
        if kind == "pope" and answer not in ("yes", "no"):
            raise PruneProofError(f"samples.parquet: answer of existence question {name} is {answer!r}; use yes or no")
    image_names, image = _codes(rows["image_id"])
    keys = [
        (image_id, question) if kind == "existence" else name
        for image_id, question, kind, name in zip(
            rows["image_id"], rows["question"], rows["kind"], rows["sample_id"], strict=True
        )
    ]
    _, unit = _codes(keys)
    _, first = np.unique(unit, return_index=True)
    truth = tuple(parsing.parse(answer, kind).prediction for answer, kind in zip(rows["answer"], how, strict=True))
    return Questions(
        table=table,
        image=image,
        images=len(image_names),
        kind=np.array(rows["kind"], object),
        split=np.array(rows["split"], object),
        detail=np.array(rows["detail"], object),
        truth=truth,
        how=how,
        unit=unit,
        first=first,
        counted=np.isin(np.array(rows["kind"], str)[first], list(kinds)),
        sightless=sightless([rows["kind"][index] for index in first], [truth[index] for index in first]),
    )


def _codes(keys: Sequence[object]) -> tuple[list[object], Ints]:
    """Different keys in order of first appearance, and the index of each key among them."""
    index: dict[object, int] = {}
    codes = np.array([index.setdefault(key, len(index)) for key in keys], dtype=np.int_)
    return list(index), codes


@dataclass(frozen=True, slots=True)
class CaptionTruth:
    """What captions are compared with."""

    forms: SurfaceForms
    """The benchmark's vocabulary."""
    present: tuple[frozenset[str], ...]
    """(S) classes in the image of each sample."""


def load_caption_truth(folders: Folders, questions: Questions) -> CaptionTruth:
    """Read `vocabulary.json` ({class: [surface forms]}) and the classes in each image; nothing if no caption is asked.

    Objects whose noun is not in the vocabulary are left out: a caption cannot be credited for them.
    """
    if "caption" not in questions.kind:
        return CaptionTruth({}, (frozenset(),) * len(questions.kind))
    vocabulary: dict[str, list[str]] = read_json(folders.benchmark / "vocabulary.json")
    present: dict[str, set[str]] = {}
    for row in read_rows(folders.benchmark / "objects.parquet", ("image_id", "noun")):
        if row["noun"] in vocabulary:
            present.setdefault(row["image_id"], set()).add(row["noun"])
    image_ids = questions.table["image_id"].to_pylist()
    return CaptionTruth(surface_forms(vocabulary), tuple(frozenset(present.get(name, ())) for name in image_ids))
