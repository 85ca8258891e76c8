"""The runs of the experiment `<study>.conditions`: every number of the tables.

A parent run holds a backbone with a method, a child run one condition, and one more run the report.
"""

from __future__ import annotations

from collections.abc import Iterator

from pruneproof.records import PERTURBED, Condition
from pruneproof.reporting.methods import Method
from pruneproof.tracking.methods import parameters
from pruneproof.tracking.notes import headline_note, whole_method_note
from pruneproof.tracking.planned import PlannedRun, Point
from pruneproof.tracking.results import ACCURACY, Results, is_single, severity_of
from pruneproof.tracking.tables import Row, number

REPORT = "report"
"""Cell id of the run that holds the report."""
CURVES = (ACCURACY, "hallucination/rate", "pope/f1_mean", "robust/flip_rate", "tokens/target_kept")
"""Metrics that a parent run holds for every perturbation, with the severity as step (of a dialogue, the turn)."""
OF_MODEL = (ACCURACY, "hallucination/matched")
"""Metrics of a condition that the method's model holds, too: the table of models has a column for each of them under
each condition."""
COSTS = ("flops", "flops_ratio", "language_model_flops_ratio", "speedup", "visual_tokens")
"""Columns of `reports/summary.csv` that a parent run holds as `cost/...`, some with `_low` and `_high`."""
CONTRASTS = ("clean_difference", "extra_drop")
"""Beginnings of the columns that it holds as `contrast/...`; all other numbers are `headline/...`."""


def report_run(results: Results) -> PlannedRun:
    """The run that holds everything in `reports/`."""
    reports = results.folders.reports
    paths = sorted(path for path in reports.rglob("*") if path.is_file() and not path.name.startswith("."))
    found = {path.relative_to(reports).as_posix(): path for path in paths if path.name != "tracking.json"}
    tags = {**results.origin, "level": "report", "mlflow.note.content": headline_note(results.headline)}
    return PlannedRun("conditions", REPORT, "report", tags=tags, artifacts=found)


def condition_runs(results: Results) -> list[PlannedRun]:
    """All parents, and then their children."""
    parents = [_parent(results, backbone, method) for backbone, method in results.cells()]
    children = [
        child
        for (backbone, method), parent in zip(results.cells(), parents, strict=True)
        for child in _children(results, backbone, method, parent)
    ]
    return [*parents, *children]


def _parent(results: Results, backbone: str, method: Method) -> PlannedRun:
    rows = results.scores[backbone, method.id]
    headline = results.headline_of(backbone, method.id)
    note = whole_method_note(headline, results.study.study.name)
    return PlannedRun(
        "conditions",
        cell_id=f"{backbone}/{method.id}",
        name=results.title(backbone, method),
        params=parameters(results, backbone, method),
        points=(*_aggregates(rows), *_curves(rows), *_headline(headline)),
        inputs=results.digests,
        tags={
            **results.origin, "level": "all conditions", "mlflow.note.content": note, "mlflow.runColor": method.colour,
        },
        seconds=results.seconds_for(backbone, method.id, rows),
    )  # fmt: skip


def _children(results: Results, backbone: str, method: Method, parent: PlannedRun) -> Iterator[PlannedRun]:
    by_condition: dict[Condition, list[Row]] = {}
    for row in filter(is_single, results.scores[backbone, method.id]):
        condition = Condition(row["family"], row["perturbation"], severity_of(row))  # type: ignore[arg-type]
        by_condition.setdefault(condition, []).append(row)
    for condition, rows in by_condition.items():
        data = results.data_of(condition)
        measured = ((row["metric"], number(row["value"])) for row in rows)
        yield PlannedRun(
            "conditions",
            cell_id=f"{parent.cell_id}/{condition.condition_id}",
            name=f"{parent.name} / {condition.condition_id}",
            parent=parent.cell_id,
            model=parent.cell_id,
            params={
                **parent.params, "family": condition.family, "perturbation": condition.perturbation,
                "severity": condition.severity,
            },
            points=tuple(
                Point(metric, value, condition.severity, data if metric in OF_MODEL else None)
                for metric, value in measured
                if value is not None
            ),
            data=(data,),
            tags={**results.origin, "level": "condition", "mlflow.runColor": method.colour},
            seconds=results.seconds_for(backbone, method.id, rows),
        )  # fmt: skip


def _aggregates(rows: list[Row]) -> Iterator[Point]:
    """Every metric clean and averaged over a family: `accuracy/all/clean`, `accuracy/all/image_mean`."""
    for row in rows:
        value = number(row["value"])
        if value is not None and row["family"] == "clean":
            yield Point(f"{row['metric']}/clean", value)
        elif value is not None and row["perturbation"] == row["severity"] == "mean":
            yield Point(f"{row['metric']}/{row['family']}_mean", value)


def _curves(rows: list[Row]) -> Iterator[Point]:
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
            if row["family"] != "clean" and is_single(row):
                names = [row["perturbation"], *(["image_by_severity"] if row["family"] == "image" else [])]
                for name in names:
                    points.setdefault(name, {}).setdefault(severity_of(row), []).append(value)
        for name, levels in points.items():
            if name in perturbed:
                yield from (Point(f"{metric}/{name}", value) for value in clean)
            yield from (Point(f"{metric}/{name}", sum(v) / len(v), level) for level, v in sorted(levels.items()))


def _headline(rows: list[Row]) -> Iterator[Point]:
    """Every number of the headline table, in groups."""
    for row in rows:
        for column, text in row.items():
            value = number(text)
            if value is not None and column not in ("backbone", "method", "label", "keep"):
                name = column.removesuffix("_low").removesuffix("_high")
                group = "cost" if name in COSTS else "contrast" if column.startswith(CONTRASTS) else "headline"
                yield Point(f"{group}/{column}", value)
