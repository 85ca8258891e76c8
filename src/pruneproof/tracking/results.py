"""The results of a study as its tables hold them: what runs are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pruneproof.errors import PruneProofError
from pruneproof.folders import Folders
from pruneproof.provenance import file_digest
from pruneproof.records import Condition
from pruneproof.reporting.methods import Method, describe
from pruneproof.settings import Study
from pruneproof.tracking.planned import Data
from pruneproof.tracking.provenance import data_digests, git_tags
from pruneproof.tracking.tables import Row, combined, number, read

AVERAGES = frozenset({"mean", "live"})
"""The value for several conditions in the columns `perturbation` and `severity`."""
SCORED = ("backbone", "method", "family", "perturbation", "severity", "metric", "value", "low", "high", "n")
EFFECTIVE = ("backbone", "method", "family", "severity", "value", "low", "high")
LATENCY = ("backbone", "method", "batch", "median_s")
ACCURACY = "accuracy/all"
Cell = tuple[str, str]
"""Backbone and method."""


@dataclass(frozen=True)
class Results:
    """The tables of one study, by backbone and method."""

    study: Study
    folders: Folders
    scores: Mapping[Cell, list[Row]]
    """Rows of `data/scores/summary.csv`."""
    effective: Mapping[Cell, list[Row]]
    """Rows of `data/scores/effective.csv`; none without random pruning."""
    headline: Sequence[Row]
    """Rows of `reports/summary.csv`."""
    latency: Mapping[Cell, list[Row]]
    """Rows of `data/costs/latency.csv`."""
    digests: Mapping[str, str]
    """Of the benchmark, the corrupted images and the reworded questions, as tags."""
    origin: Mapping[str, str]
    """Study and commit, as tags."""

    @cached_property
    def methods(self) -> tuple[Method, ...]:
        """The study's methods with their names and colours, in the order of the report."""
        return describe(self.study.methods)

    def cells(self) -> Iterator[tuple[str, Method]]:
        """Every backbone and method that has results, in the order of the report."""
        for backbone in self.study.backbones:
            for method in self.methods:
                if method.id in self.study.methods_of(backbone) and self.scores.get((backbone, method.id)):
                    yield backbone, method

    def title(self, backbone: str, method: Method) -> str:
        """What runs of a backbone and method are called: `ATP 25%`, with the backbone where there are several."""
        return f"{method.label} ({backbone})" if len(self.study.backbones) > 1 else method.label

    def headline_of(self, backbone: str, method: str) -> list[Row]:
        """Its row of the headline table, as a list: there may be none."""
        return [row for row in self.headline if (row["backbone"], row["method"]) == (backbone, method)]

    def seconds_for(self, backbone: str, method: str, rows: Iterable[Row]) -> float:
        """Seconds that a backbone with a method needs for the questions that some rows count, from the picture on.

        The pipeline measures a picture with all its questions, in one process and in turns with the other methods
        (`median_s` of the largest `batch` in `data/costs/latency.csv`). Answering itself is no measure: there methods
        share what is encoded, and finished answers are not asked again.

        Args:
            backbone: its id.
            method: its id.
            rows: of `data/scores/summary.csv`; those of single conditions count.

        Returns:
            0 if the latency was not measured.
        """
        measured = [(number(row["batch"]), number(row["median_s"])) for row in self.latency.get((backbone, method), [])]
        batch, median = max(((b, s) for b, s in measured if b and s), default=(1.0, 0.0))
        asked = (number(row["n"]) or 0.0 for row in rows if row["metric"] == ACCURACY and is_single(row))
        return sum(asked) * median / batch

    def data_of(self, condition: Condition) -> Data:
        """What was shown and asked under a condition."""
        name, benchmark, parts = condition.condition_id, self.digests.get("data.benchmark", ""), [""]
        source = self.folders.benchmark
        if condition.family == "image":
            source = self.folders.corrupted / f"{name}.parquet"
            if not source.exists():  # made when asked about, from what the manifest says
                source = self.folders.corrupted / "manifest.json"
            parts = [file_digest(source)]
        elif condition.family == "text":
            source, parts = self.folders.reworded / "questions.parquet", [self.digests.get("data.reworded", "")]
        place = source.relative_to(self.folders.study).as_posix()
        return Data(f"{self.study.benchmark.name}/{name}", combined(benchmark, name, *parts), place)

    def all_corrupted(self) -> Data:
        """What was shown and asked under all image conditions."""
        digest = combined(self.digests.get("data.benchmark", ""), self.digests.get("data.corrupted", ""))
        return Data(f"{self.study.benchmark.name}/corrupted", digest, "data/corrupted")


def gather(study: Study, folders: Folders) -> Results:
    """Read the tables of a study.

    Raises:
        PruneProofError: if one is missing or damaged.
    """
    scores = read(folders.scores / "summary.csv", SCORED)
    headline = read(folders.reports / "summary.csv", ("backbone", "method"))
    effective = read(folders.scores / "effective.csv", EFFECTIVE, empty=True)
    latency = read(folders.costs / "latency.csv", LATENCY, empty=True)
    origin = {"study": study.study.name, **git_tags(folders.study / study.study.root)}
    return Results(
        study,
        folders,
        _by_cell(scores),
        _by_cell(effective),
        headline,
        _by_cell(latency),
        data_digests(folders),
        origin,
    )


def _by_cell(rows: Iterable[Row]) -> dict[Cell, list[Row]]:
    found: dict[Cell, list[Row]] = {}
    for row in rows:
        found.setdefault((row["backbone"], row["method"]), []).append(row)
    return found


def is_single(row: Row) -> bool:
    """Whether a row is about one condition, and no average."""
    return not AVERAGES.intersection((row["perturbation"], row["severity"]))


def severity_of(row: Row) -> int:
    """The severity of a row that is no average over severities.

    Raises:
        PruneProofError: if it is not a number.
    """
    try:
        return int(row["severity"])
    except ValueError:
        raise PruneProofError(
            f"data/scores/summary.csv: severity {row['severity']!r} is not a number; delete it and run `dvc repro`"
        ) from None
