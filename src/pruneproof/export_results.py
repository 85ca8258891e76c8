"""Answers in the file that a benchmark's official script or test server reads."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pyarrow.compute as pc

from pruneproof import registry
from pruneproof.errors import PruneProofError
from pruneproof.files import read_rows, read_table, write_text
from pruneproof.folders import Folders
from pruneproof.plurals import number_of
from pruneproof.records import CLEAN, Sample, sample_from_row
from pruneproof.scoring.conversions import CONVERSIONS
from pruneproof.study import load_study

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def report(folder: Path, backbone: str, method: str, name: str | None = None) -> None:
    """Write what one backbone and method answer to the pictures and questions as they are, and print where.

    The file lies in `results/<backbone>/<method>` of the study.

    Texts are converted first as `answer_conversion` of the backbone says, as its authors do.

    Args:
        folder: of the study.
        backbone: an id of the study's backbones.
        method: an id of the study's methods.
        name: of the model, for the file's name; None for `<backbone>_<method>`.

    Raises:
        PruneProofError: if the study has no such backbone or method, its benchmark has no such file, or an answer is
            missing.
    """
    if name is not None and not _NAME.fullmatch(name):
        raise PruneProofError(f"--name is {name!r}, but becomes part of a file's name: use letters, digits, . _ and -")
    study, folders = load_study(folder), Folders(folder)
    for noun, value, known in (("backbone", backbone, study.backbones), ("method", method, study.methods)):
        if value not in known:
            raise PruneProofError(f"--{noun} is {value!r}, which params.yaml does not have: {', '.join(known)}")
    benchmark = registry.load_module("pruneproof.benchmarks", study.benchmark.name, "benchmark")
    if not hasattr(benchmark, "results"):
        raise PruneProofError(f"benchmark {study.benchmark.name} has no official result file")
    samples = [sample_from_row(row) for row in read_rows(folders.benchmark / "samples.parquet")]
    path = folders.answers / backbone / f"{method}.parquet"
    texts = _clean(path)
    missing = [sample.sample_id for sample in samples if sample.sample_id not in texts]
    if missing:
        raise PruneProofError(
            f"{path}: no answer on the clean picture to {len(missing)} of "
            f"{number_of(len(samples), 'question')}, the first being {missing[0]!r}: run `dvc repro answer_questions`"
        )
    convert = CONVERSIONS[study.backbones[backbone].answer_conversion]
    answers: list[tuple[Sample, str]] = [(sample, convert(texts[sample.sample_id])) for sample in samples]
    options = benchmark.Options.model_validate(study.benchmark.options)
    file_name, content = benchmark.results(answers, options, name or f"{backbone}_{method}")
    written = folder / "results" / backbone / method / file_name
    write_text(written, json.dumps(content, ensure_ascii=False) + "\n")
    print(f"{written}: {number_of(len(samples), 'answer')}")


def _clean(path: Path) -> Mapping[str, str]:
    """Texts of the clean condition by sample."""
    table = read_table(path, ["family", "sample_id", "text"])
    table = table.filter(pc.equal(table["family"], CLEAN.family))
    return dict(zip(table["sample_id"].to_pylist(), table["text"].to_pylist(), strict=True))
