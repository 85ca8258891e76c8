"""The runs of the experiment `<study>`: one a backbone and method, with the few numbers that answer which holds up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pruneproof import pruning
from pruneproof.provenance import file_digest
from pruneproof.records import CLEAN
from pruneproof.reporting.methods import Method
from pruneproof.tracking.notes import method_note
from pruneproof.tracking.planned import Data, PlannedRun, Point, Value
from pruneproof.tracking.results import ACCURACY, Results
from pruneproof.tracking.tables import Row, as_csv, number, plain

HEADLINE = {
    "accuracy_clean": "accuracy_clean",
    "effective_robustness": "effective_image",
    "flops_ratio": "flops_ratio",
    "hallucination_matched": "hallucination_matched_image",
}
"""Metric in the group `headline/`, and its column of `reports/summary.csv`; the ends of its interval are in `low/` and
`high/`, where the beginning of a column's heading tells them apart."""
DIGITS = 3
"""Decimals of these numbers: a table shows every digit that there is."""
ON_CLEAN = ("accuracy_clean", "flops_ratio")
"""Those that are measured on clean pictures; the others on all corrupted ones."""
CURVES = {"accuracy": ACCURACY, "hallucination_matched": "hallucination/matched"}
"""Metric in the group `severity/`, and what it is in `data/scores/summary.csv`; `_low` and `_high` go with it."""
FIGURES = ("effective_robustness", "accuracy_severity", "accuracy_flops", "hallucination_severity", "drops_heatmap")
"""Figures of the report in which all methods of a backbone stand beside each other, the most important first."""
RESERVED = frozenset({"family", "perturbation", "severity"})
"""Parameters of a condition's run beside its method's."""


def method_runs(results: Results) -> Iterator[PlannedRun]:
    """One run a backbone and method, in the order of the report."""
    for backbone, method in results.cells():
        rows = results.scores[backbone, method.id]
        headline = results.headline_of(backbone, method.id)
        params = parameters(results, backbone, method)
        clean, corrupted = results.data_of(CLEAN), results.all_corrupted()
        points = (
            *_headline(headline, clean, corrupted),
            *_curves(rows, results.effective.get((backbone, method.id), []), clean, corrupted),
        )
        answers = file_digest(results.folders.answers_of(backbone, method.id))
        figures = _figures(results.folders.reports / "figures" / backbone)
        note = method_note(headline, params, list(figures), f"{results.study.study.name}.conditions")
        tags = {"level": "method", "mlflow.note.content": note, "mlflow.runColor": method.colour}
        yield PlannedRun(
            "methods",
            cell_id=f"{backbone}/{method.id}",
            name=results.title(backbone, method),
            model=f"{backbone}/{method.id}",
            params=params,
            points=points,
            data=tuple(dict.fromkeys(point.data for point in points if point.data)),
            inputs={**results.digests, **({"data.answers": answers} if answers else {})},
            artifacts={"summary.csv": as_csv(rows)},
            tags={**results.origin, **tags},
            figures=figures,
            seconds=results.seconds_for(backbone, method.id, rows),
        )


def parameters(results: Results, backbone: str, method: Method) -> dict[str, Value]:
    """What a cell was run with: the method's options under their own names, or as `option.<name>` if one of ours has
    that name. `keep` is the share of tokens that are left at the end, whatever a method calls it, so that all have a
    place on a chart's axis: 1 for a method that keeps every token, none for one that decides it by picture.
    """
    study = results.study
    chosen = study.methods[method.id]
    loaded = pruning.load(chosen)
    share = 1.0 if loaded.kind == "full" else pruning.share(loaded)
    ours: dict[str, Value] = {
        "backbone": backbone,
        "method": method.id,
        "pruner": chosen.method,
        "kind": loaded.kind,
        "door": loaded.door,
        "images": study.benchmark.images or "all",
        "seed": study.study.seed,
        **({"allow_tower_mismatch": "true"} if study.backbones[backbone].allow_tower_mismatch else {}),
    }
    options = {**({} if share is None else {"keep": share}), **chosen.options}
    taken = {*ours, *RESERVED}
    return {**ours, **{f"option.{key}" if key in taken else key: plain(value) for key, value in options.items()}}


def _headline(headline: list[Row], clean: Data, corrupted: Data) -> Iterator[Point]:
    # The page of a run lists them in the order in which they come.
    for group, end in (("headline", ""), ("low", "_low"), ("high", "_high")):
        for name, column in HEADLINE.items():
            for row in headline:
                if (value := number(row.get(f"{column}{end}"))) is not None:
                    data = clean if name in ON_CLEAN else corrupted
                    yield Point(f"{group}/{name}", round(value, DIGITS), 0, data)


def _curves(scores: list[Row], effective: list[Row], clean: Data, corrupted: Data) -> Iterator[Point]:
    """Means over all image corruptions at each severity, which is the step; 0 is the clean input.

    Where corruptions have different severities the tables hold no such mean, and effective robustness has no step 0.
    """
    for name, metric in CURVES.items():
        for row in scores:
            if row["metric"] == metric and row["family"] == "clean":
                yield from _with_interval(name, row, 0, clean)
            elif row["metric"] == metric and (row["family"], row["perturbation"]) == ("image", "mean"):
                yield from _at_severity(name, row, corrupted)
    for row in effective:
        if row["family"] == "image":
            yield from _at_severity("effective_robustness", row, corrupted)


def _at_severity(name: str, row: Row, data: Data) -> Iterator[Point]:
    if row["severity"].isdigit():
        yield from _with_interval(name, row, int(row["severity"]), data)


def _with_interval(name: str, row: Row, step: int, data: Data) -> Iterator[Point]:
    for column, key in (("value", name), ("low", f"{name}_low"), ("high", f"{name}_high")):
        if (value := number(row[column])) is not None:
            yield Point(f"severity/{key}", value, step, data)


def _figures(folder: Path) -> dict[str, Path]:
    """Path in MLflow to the picture of each figure that there is."""
    pictures = {f"figures/{name}.png": folder / f"{name}.png" for name in FIGURES}
    return {name: path for name, path in pictures.items() if path.is_file()}
