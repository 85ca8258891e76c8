"""Which runs a study consists of: read from its tables, without MLflow."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pruneproof import files, pruning
from pruneproof.errors import PruneProofError
from pruneproof.folders import Folders
from pruneproof.provenance import file_digest
from pruneproof.records import PERTURBED, Condition
from pruneproof.settings import Study
from pruneproof.tracking.notes import headline_note, method_note
from pruneproof.tracking.provenance import data_digests, git_tags
from pruneproof.tracking.tables import Row, number, read

SCHEMA = "3"
"""Change it when runs are written differently: every run is then recorded again."""
CURVES = ("accuracy/all", "hallucination/rate", "pope/f1_mean", "robust/flip_rate", "tokens/target_kept")
"""Metrics that a parent run holds for every perturbation, with the severity as step (of a dialogue, the turn)."""
AVERAGES = frozenset({"mean", "live"})
"""The value for several conditions in the columns `perturbation` and `severity`."""
COSTS = ("flops", "flops_ratio", "language_model_flops_ratio", "speedup", "visual_tokens")
"""Columns of `reports/summary.csv` that a parent run holds as `cost/...`, some with `_low` and `_high`."""
CONTRASTS = ("clean_difference", "extra_drop")
"""Beginnings of the columns that it holds as `contrast/...`; all other numbers are `headline/...`."""
SCORED = ("backbone", "method", "family", "perturbation", "severity", "metric", "value")
CELL = ("family", "perturbation", "severity")
"""Parameters of a condition's run beside its method's."""
Value = str | int | float


@dataclass(frozen=True)
class PlannedRun:
    """One run as MLflow should have it."""

    cell_id: str
    """What the run is about, such as `builtin_llava/atp_25/gaussian_noise_3`; the same in every recording."""
    name: str
    parent: str | None
    """Cell id of the parent run."""
    params: Mapping[str, Value] = field(default_factory=dict)
    metrics: tuple[tuple[str, float, int], ...] = ()
    """(key, value, step)."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Digests of the data that the result rests on, as tags."""
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
        PruneProofError: if a table is missing, empty or damaged.
    """
    scores = read(folders.scores / "summary.csv", SCORED)
    headline = read(folders.reports / "summary.csv", ("backbone", "method"))
    shared = {"study": study.study.name, **git_tags(folders.study / study.study.root)}
    inputs = data_digests(folders)
    by_cell: dict[tuple[str, str], list[Row]] = {}
    for row in scores:
        by_cell.setdefault((row["backbone"], row["method"]), []).append(row)
    parents: list[PlannedRun] = []
    children: list[PlannedRun] = []
    for backbone in study.backbones:
        for method in study.methods_of(backbone):
            rows = by_cell.get((backbone, method), [])
            if rows:
                chosen = [row for row in headline if (row["backbone"], row["method"]) == (backbone, method)]
                answers = file_digest(folders.answers_of(backbone, method))
                about = {**inputs, "data.answers": answers} if answers else inputs
                parents.append(_parent(study, backbone, method, rows, chosen, about, shared))
                children += _children(study, folders, parents[-1], rows, inputs, shared)
    return [*parents, _report(folders, headline, shared), *children]


def _parameters(study: Study, backbone: str, method: str) -> dict[str, Value]:
    """What a cell was run with: the method's options under their own names, or as `option.<name>` if one of ours has
    that name. `keep` is the share of tokens that are left at the end, whatever a method calls it, so that all have a
    place on a chart's axis: 1 for a method that keeps every token, none for one that decides it by picture.
    """
    chosen = study.methods[method]
    loaded = pruning.load(chosen)
    share = 1.0 if loaded.kind == "full" else pruning.share(loaded)
    ours: dict[str, Value] = {
        "backbone": backbone,
        "method": method,
        "pruner": chosen.method,
        "kind": loaded.kind,
        "door": loaded.door,
        "images": study.benchmark.images,
        "seed": study.study.seed,
        **({"allow_tower_mismatch": "true"} if study.backbones[backbone].allow_tower_mismatch else {}),
    }
    taken = {*ours, *CELL}
    options = {**({} if share is None else {"keep": share}), **chosen.options}
    return {**ours, **{f"option.{key}" if key in taken else key: _plain(value) for key, value in options.items()}}


def _plain(value: object) -> Value:
    """A value that MLflow can show: what is neither text nor number is JSON, and so is a truth value."""
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else json.dumps(value)


def _parent(
    study: Study,
    backbone: str,
    method: str,
    rows: list[Row],
    headline: list[Row],
    inputs: Mapping[str, str],
    shared: Mapping[str, str],
) -> PlannedRun:
    params = _parameters(study, backbone, method)
    metrics = [*_aggregates(rows), *_curves(rows), *_headline(headline)]
    return PlannedRun(
        cell_id=f"{backbone}/{method}",
        name=f"{method} ({backbone})" if len(study.backbones) > 1 else method,
        parent=None,
        params=params,
        metrics=tuple(metrics),
        inputs=inputs,
        tags={**shared, "level": "method", "mlflow.note.content": method_note(headline, params)},
        artifacts={"summary.csv": _csv(rows)},
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
            condition = Condition(row["family"], row["perturbation"], _severity(row))  # type: ignore[arg-type]
            by_condition.setdefault(condition, []).append(row)
    for condition, measured in by_condition.items():
        name = condition.condition_id
        about = {"data.benchmark": inputs.get("data.benchmark", "")}
        if condition.family == "image":
            about["data.condition"] = file_digest(folders.corrupted / f"{name}.parquet")
        elif condition.family == "text":
            about["data.condition"] = inputs.get("data.reworded", "")
        cell: dict[str, Value] = {
            "family": condition.family,
            "perturbation": condition.perturbation,
            "severity": condition.severity,
        }
        yield PlannedRun(
            cell_id=f"{parent.cell_id}/{name}",
            name=f"{parent.name} / {name}",
            parent=parent.cell_id,
            params={**parent.params, **cell},
            metrics=tuple(
                (row["metric"], value, condition.severity)
                for row in measured
                if (value := number(row["value"])) is not None
            ),
            inputs={key: value for key, value in about.items() if value},
            tags={**shared, "level": "condition"},
        )


def _severity(row: Row) -> int:
    try:
        return int(row["severity"])
    except ValueError:
        raise PruneProofError(
            f"data/scores/summary.csv: severity {row['severity']!r} is not a number; delete it and run `dvc repro`"
        ) from None


def _aggregates(rows: list[Row]) -> Iterator[tuple[str, float, int]]:
    """Every metric clean and averaged over a family: `accuracy/all/clean`, `accuracy/all/image_mean`."""
    for row in rows:
        value = number(row["value"])
        if value is not None and row["family"] == "clean":
            yield f"{row['metric']}/clean", value, 0
        elif value is not None and row["perturbation"] == row["severity"] == "mean":
            yield f"{row['metric']}/{row['family']}_mean", value, 0


def _curves(rows: list[Row]) -> Iterator[tuple[str, float, int]]:
    """`accuracy/all/fog` at step = severity with the clean value at step 0, and the mean over all image corruptions.

    A dialogue's step is its turn; it has no step 0.
    """
    for metric in CURVES:
        measured = [(row, number(row["value"])) for row in rows if row["metric"] == metric]
        chosen = [(row, value) for row, value in measured if value is not None]
        clean = [value for row, value in chosen if row["family"] == "clean"]
        perturbed = {row["perturbation"] for row, _ in chosen if row["family"] in PERTURBED} | {"image_by_severity"}
        points: dict[str, dict[int, list[float]]] = {}
        for row, value in chosen:
            if row["family"] != "clean" and not AVERAGES.intersection((row["perturbation"], row["severity"])):
                names = [row["perturbation"], *(["image_by_severity"] if row["family"] == "image" else [])]
                for name in names:
                    points.setdefault(name, {}).setdefault(_severity(row), []).append(value)
        for name, levels in points.items():
            if name in perturbed:
                yield from ((f"{metric}/{name}", value, 0) for value in clean)
            yield from ((f"{metric}/{name}", sum(v) / len(v), level) for level, v in sorted(levels.items()))


def _headline(rows: list[Row]) -> Iterator[tuple[str, float, int]]:
    """Every number of the headline table, in groups."""
    for row in rows:
        for column, text in row.items():
            value = number(text)
            if value is not None and column not in ("backbone", "method", "label", "keep"):
                name = column.removesuffix("_low").removesuffix("_high")
                group = "cost" if name in COSTS else "contrast" if column.startswith(CONTRASTS) else "headline"
                yield f"{group}/{column}", value, 0


def _report(folders: Folders, headline: list[Row], shared: Mapping[str, str]) -> PlannedRun:
    paths = sorted(path for path in folders.reports.rglob("*") if path.is_file() and not path.name.startswith("."))
    found = {path.relative_to(folders.reports).as_posix(): path for path in paths if path.name != "tracking.json"}
    tags = {**shared, "level": "report", "mlflow.note.content": headline_note(headline)}
    return PlannedRun("report", "report", None, tags=tags, artifacts=found)


def _csv(rows: list[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
