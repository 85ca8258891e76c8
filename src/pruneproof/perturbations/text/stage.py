"""Stage `reword_questions`: every question under every text condition, with what the gate said."""

from __future__ import annotations

import platform
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from rich.console import Console
from rich.progress import track

from pruneproof.files import read_rows, write_json, write_rows
from pruneproof.folders import Folders
from pruneproof.perturbations.text import NotApplicable, conditions, perturbation
from pruneproof.perturbations.text._words import edit_distance
from pruneproof.records import REWORDED, Condition, Sample, sample_from_row
from pruneproof.seeds import generator
from pruneproof.settings import Study

DRAWS = 25
"""How often a question is drawn until the gate accepts; if it never does, the last draw is recorded as rejected."""


@dataclass(frozen=True, slots=True)
class Reworded:
    """One question under one condition."""

    text: str
    """The last draw; the question itself where the perturbation does not apply."""
    edit_distance: int
    """Levenshtein distance to the question, in characters."""
    reason: str
    """Why the text is rejected; empty if it is accepted."""
    redrawn: tuple[str, ...]
    """Why earlier draws were rejected."""


def reword(sample: Sample, condition: Condition, study_seed: int) -> Reworded:
    """Reword one question; depends on nothing but the arguments.

    The random stream belongs to (study seed, image, question, perturbation, severity), not to the sample: a question
    that occurs in several POPE samplings is reworded in the same way in each.
    """
    if not sample.question.strip():
        return Reworded(sample.question, 0, "not applicable: the question is empty", ())
    chosen = perturbation(condition.perturbation)
    rng = generator(study_seed, sample.image_id, sample.question, condition.perturbation, condition.severity)
    faults: list[str] = []
    text = sample.question
    for _ in range(DRAWS):
        try:
            text = chosen(sample, condition.severity, rng)
        except NotApplicable as error:
            return Reworded(sample.question, 0, f"not applicable: {error}", ())
        fault = chosen.gate(sample, text)
        if fault is None:
            return Reworded(text, edit_distance(sample.question, text), "", tuple(faults))
        faults.append(fault)
    return Reworded(text, edit_distance(sample.question, text), faults[-1], tuple(faults[:-1]))


def run(study: Study, folders: Folders) -> None:
    """Write `reworded/questions.parquet` and `reworded/manifest.json`.

    Raises:
        PruneProofError: if the samples are missing or a perturbation is unknown.
    """
    samples = [sample_from_row(row) for row in read_rows(folders.benchmark / "samples.parquet")]
    asked = conditions(study.perturbations.text)
    questions = group(samples)
    rows: list[dict[str, Any]] = []
    told: dict[str, Any] = {}
    for condition in track(asked, "Rewording", console=Console(stderr=True), disable=not asked):
        reworded = {key: reword(twins[0], condition, study.study.seed) for key, twins in questions.items()}
        rows += [_row(sample, condition, reworded[key]) for key, twins in questions.items() for sample in twins]
        told[condition.condition_id] = summarise(reworded.values())
    rows.sort(key=lambda row: (row["sample_id"], row["perturbation"], row["severity"]))
    write_rows(folders.reworded / "questions.parquet", rows, REWORDED)
    write_json(folders.reworded / "manifest.json", _manifest(study, samples, questions, told))


def group(samples: Iterable[Sample]) -> dict[tuple[str, str], list[Sample]]:
    """Samples by (image, question), sorted, so that each question is reworded once and the same for all of them."""
    found: defaultdict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda sample: sample.sample_id):
        found[sample.image_id, sample.question].append(sample)
    return dict(found)


def summarise(reworded: Iterable[Reworded]) -> dict[str, Any]:
    """Counts over distinct questions of one condition; the mean edit distance is over the accepted ones."""
    all_of_them = list(reworded)
    distances = [item.edit_distance for item in all_of_them if not item.reason]
    return {
        "accepted": len(distances),
        "rejected": dict(Counter(item.reason for item in all_of_them if item.reason)),
        "redrawn": dict(Counter(fault for item in all_of_them for fault in item.redrawn)),
        "mean_edit_distance": round(sum(distances) / len(distances), 4) if distances else None,
    }


def _row(sample: Sample, condition: Condition, reworded: Reworded) -> dict[str, Any]:
    return {
        "sample_id": sample.sample_id,
        "perturbation": condition.perturbation,
        "severity": condition.severity,
        "original": sample.question,
        "text": reworded.text,
        "edit_distance": reworded.edit_distance,
        "accepted": not reworded.reason,
        "reason": reworded.reason,
    }


def _manifest(
    study: Study, samples: Sequence[Sample], questions: Mapping[tuple[str, str], Any], told: dict[str, Any]
) -> dict[str, Any]:
    return {
        "study_seed": study.study.seed,
        "samples": len(samples),
        "distinct_questions": len(questions),
        "conditions": told,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("nlpaug", "numpy", "pyarrow")},
        },
    }
