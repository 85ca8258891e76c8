"""Which runs a study consists of: read from its tables, without MLflow."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pruneproof import files
from pruneproof.errors import PruneProofError
from pruneproof.folders import Folders
from pruneproof.records import PERTURBED, Condition
from pruneproof.settings import Study
from pruneproof.tracking.provenance import data_digests, file_digest, git_tags

SCHEMA = "1"
"""Change it when runs are written differently: every run is then recorded anew."""
CURVES = ("accuracy/all", "hallucination/rate", "pope/f1_mean", "robust/flip_rate", "tokens/target_kept")
"""Metrics that a parent run holds for every perturbation, with the severity as step (of a dialogue, the turn)."""
HEADLINE = {
    "cost": ("flops", "flops_ratio", "language_model_flops_ratio", "speedup"),
    "contrast": tuple(
        name + end
        for name in ("clean_difference", "extra_drop_image", "extra_drop_text")
        for end in ("", "_low", "_high")
    ),
}
"""Columns of `reports/summary.csv` that a parent run holds, by group."""
AVERAGES = frozenset({"mean", "live"})
"""What stands for several conditions in the columns `perturbation` and `severity`."""
Row = Mapping[str, str]


@dataclass(frozen=True)
class PlannedRun:
    """One run as it should stand in MLflow."""

    cell_id: str
    """What the run is about, such as `builtin_llava/atp_25/gaussian_noise_3`; the same in every recording."""
    name: str
    parent: str | None
    """Cell id of the parent run."""
    params: Mapping[str, str | int | float] = field(default_factory=dict)
    metrics: tuple[tuple[str, float, int], ...] = ()
    """(key, value, step)."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Digests of the data behind the result, as tags."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags that do not identify the result, such as the commit."""
    artifacts: Mapping[str, Path | str] = field(default_factory=dict)
    """Path in MLflow to a file, or to text."""

    @cached_property
    def cell_hash(self) -> str:
        """Digest of everything but `tags`: a run with this hash need not be written again."""
        contents = {name: file_digest(a) if isinstance(a, Path) else a for name, a in self.artifacts.items()}
        parts = (SCHEMA, self.cell_id, self.name, self.params, self.metrics, self.inputs, contents)
        return files.digest(json.dumps(parts, sort_keys=True).encode())


def plan_runs(study: Study, folders: Folders) -> list[PlannedRun]:
    """All runs of a study, in the order in which the UI should list them: parents, the report's run, children.

    Raises:
        PruneProofError: if a table is missing or empty.
    """
    scores = _read(folders.scores / "summary.csv")
    headline = _read(folders.reports / "summary.csv")
    shared = {"study": study.study.name, "stage": "record_runs", **git_tags(folders.study / study.study.root)}
    inputs = data_digests(folders)
    by_cell: dict[tuple[str, str], list[Row]] = {}
    for row in scores:
        by_cell.setdefault((row["backbone"], row["method"]), []).append(row)
    parents: list[PlannedRun] = []
    children: list[PlannedRun] = []
    for backbone in study.backbones:
        for method in study.methods:
            rows = by_cell.get((backbone, method), [])
            if rows:
                chosen = [row for row in headline if (row["backbone"], row["method"]) == (backbone, method)]
                answers = file_digest(folders.answers_of(backbone, method))
                about = {**inputs, "data.answers": answers} if answers else inputs
                parents.append(_parent(study, backbone, method, rows, chosen, about, shared))
                children += _children(study, folders, parents[-1], rows, inputs, shared)
    return [*parents, _report(folders, headline, shared), *children]


def _parameters(study: Study, backbone: str, method: str) -> dict[str, str | int | float]:
    """What a cell was run with; a method's options keep their names, but `keep` is called `keep_ratio`."""
    chosen = study.methods[method]
    options = {key: value for key, value in chosen.options.items() if key != "keep"}
    return {
        "backbone": backbone,
        "method": method,
        "pruner": chosen.method,
        "keep_ratio": chosen.options.get("keep", 1.0),
        **{key: value if isinstance(value, str | int | float) else json.dumps(value) for key, value in options.items()},
        "images": study.benchmark.images,
        "seed": study.study.seed,
        **({"allow_tower_mismatch": "true"} if study.backbones[backbone].allow_tower_mismatch else {}),
    }


def _parent(
    study: Study,
    backbone: str,
    method: str,
    rows: list[Row],
    headline: list[Row],
    inputs: Mapping[str, str],
    shared: Mapping[str, str],
) -> PlannedRun:
    text = "\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)]) + "\n"
    metrics = [*_aggregates(rows), *_curves(rows), *_headline(headline)]
    return PlannedRun(
        cell_id=f"{backbone}/{method}",
        name=f"{method} ({backbone})" if len(study.backbones) > 1 else method,
        parent=None,
        params=_parameters(study, backbone, method),
        metrics=tuple(metrics),
        inputs=inputs,
        tags={**shared, "level": "method"},
        artifacts={"summary.csv": text},
    )


def _children(
    study: Study,
    folders: Folders,
    parent: PlannedRun,
    rows: list[Row],
    inputs: Mapping[str, str],
    shared: Mapping[str, str],
) -> Iterator[PlannedRun]:
    by_condition: dict[Condition, list[Row]] = {}
    for row in rows:
        if not AVERAGES.intersection((row["perturbation"], row["severity"])):
            condition = Condition(row["family"], row["perturbation"], int(row["severity"]))  # type: ignore[arg-type]
            by_condition.setdefault(condition, []).append(row)
    for condition, measured in by_condition.items():
        name = condition.condition_id
        about = {"data.benchmark": inputs.get("data.benchmark", "")}
        if condition.family == "image":
            about["data.condition"] = file_digest(folders.corrupted / f"{name}.parquet")
        elif condition.family == "text":
            about["data.condition"] = inputs.get("data.reworded", "")
        cell: dict[str, str | int | float] = {
            "family": condition.family,
            "perturbation": condition.perturbation,
            "severity": condition.severity,
        }
        yield PlannedRun(
            cell_id=f"{parent.cell_id}/{name}",
            name=f"{parent.name} / {name}",
            parent=parent.cell_id,
            params={**_parameters(study, str(parent.params["backbone"]), str(parent.params["method"])), **cell},
            metrics=tuple((row["metric"], float(row["value"]), condition.severity) for row in measured if row["value"]),
            inputs={key: value for key, value in about.items() if value},
            tags={**shared, "level": "condition"},
        )


def _aggregates(rows: list[Row]) -> Iterator[tuple[str, float, int]]:
    """Every metric clean and averaged over a family: `accuracy/all/clean`, `accuracy/all/image_mean`."""
    for row in rows:
        if row["value"] and row["family"] == "clean":
            yield f"{row['metric']}/clean", float(row["value"]), 0
        elif row["value"] and row["perturbation"] == row["severity"] == "mean":
            yield f"{row['metric']}/{row['family']}_mean", float(row["value"]), 0


def _curves(rows: list[Row]) -> Iterator[tuple[str, float, int]]:
    """`accuracy/all/fog` at step = severity with the clean value at step 0, and the mean over all image corruptions.

    A dialogue's step is its turn; it has no step 0.
    """
    for metric in CURVES:
        chosen = [row for row in rows if row["metric"] == metric and row["value"]]
        clean = [float(row["value"]) for row in chosen if row["family"] == "clean"]
        perturbed = {row["perturbation"] for row in chosen if row["family"] in PERTURBED} | {"image_by_severity"}
        points: dict[str, dict[int, list[float]]] = {}
        for row in chosen:
            if row["family"] != "clean" and not AVERAGES.intersection((row["perturbation"], row["severity"])):
                names = [row["perturbation"], *(["image_by_severity"] if row["family"] == "image" else [])]
                for name in names:
                    points.setdefault(name, {}).setdefault(int(row["severity"]), []).append(float(row["value"]))
        for name, levels in points.items():
            if name in perturbed:
                yield from ((f"{metric}/{name}", value, 0) for value in clean)
            yield from ((f"{metric}/{name}", sum(v) / len(v), level) for level, v in sorted(levels.items()))


def _headline(rows: list[Row]) -> Iterator[tuple[str, float, int]]:
    for row in rows:
        for group, columns in HEADLINE.items():
            yield from ((f"{group}/{name}", float(row[name]), 0) for name in columns if row.get(name))


def _report(folders: Folders, headline: list[Row], shared: Mapping[str, str]) -> PlannedRun:
    paths = sorted(path for path in folders.reports.rglob("*") if path.is_file() and not path.name.startswith("."))
    found = {path.relative_to(folders.reports).as_posix(): path for path in paths if path.name != "tracking.json"}
    tags = {**shared, "level": "report", "mlflow.note.content": headline_note(headline)}
    return PlannedRun("report", "report", None, tags=tags, artifacts=found)


def headline_note(rows: list[Row]) -> str:
    """The headline table in Markdown, and how to leave superseded runs out."""
    columns: dict[str, Any] = {
        "tokens": ("visual_tokens", 0), "FLOPs ratio": ("flops_ratio", 2),
        "clean": ("accuracy_clean", 1), "corrupted": ("accuracy_image", 1), "reworded": ("accuracy_text", 1),
        "hallucinates": ("hallucination_image", 1),
        "extra drop, corrupted": ("extra_drop_image", 1), "extra drop, reworded": ("extra_drop_text", 1),
    }  # fmt: skip
    lines = ["| backbone | method | " + " | ".join(columns) + " |", "|---|---|" + "---:|" * len(columns)]
    for row in rows:
        cells = [f"{float(row[name]):.{digits}f}" if row.get(name) else "" for name, digits in columns.values()]
        lines.append(f"| {row['backbone']} | {row.get('label') or row['method']} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "Accuracy and hallucination in percent; extra drop: points lost by perturbation beyond the full model's loss.",
        "",
        "Current parent runs: `tags.superseded_by IS NULL AND tags.level = 'method'`. Line charts of "
        "`accuracy/all/...` over the step are curves over severity (0 = clean), those of dialogues over turns.",
    ]
    return "\n".join(lines)


def _read(path: Path) -> list[Row]:
    """The rows of a CSV file.

    Raises:
        PruneProofError: if it is missing or empty.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows: list[Row] = list(csv.DictReader(file))
    except FileNotFoundError:
        raise PruneProofError(f"{path} is missing: run the stage that writes it (`dvc repro`)") from None
    if not rows:
        raise PruneProofError(f"{path} holds no rows: delete it and run `dvc repro`")
    return rows
