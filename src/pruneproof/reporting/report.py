"""The tables of a study, read once and looked up by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from pruneproof import files
from pruneproof.errors import PruneProofError
from pruneproof.folders import Folders
from pruneproof.plurals import number_of
from pruneproof.records import dialogue_name
from pruneproof.reporting.estimates import Contrast, Estimate
from pruneproof.reporting.methods import Method, describe
from pruneproof.scoring.chance import FLOOR
from pruneproof.settings import Study

ESTIMATE = ["value", "low", "high"]
KEY = ["backbone", "method", "family", "perturbation", "severity", "metric"]
COLUMNS = {
    "summary": [*KEY, *ESTIMATE, "n"],
    "contrasts": ["backbone", "method", "baseline", *KEY[2:], *ESTIMATE, "p", "p_holm", "primary"],
    "effective": [
        "backbone",
        "method",
        "family",
        "severity",
        "conditions",
        "clean",
        "perturbed",
        "predicted",
        *ESTIMATE,
        "p",
        "p_holm",
        "primary",
    ],
    "random_curve": ["backbone", "family", "severity", "clean", *ESTIMATE],
    "chance": ["metric", "answer", "value", "n"],
    "flops": ["backbone", "method", "component", "flops", "visual_tokens", "kv_cache_bytes", "weight_bytes"],
    "latency": ["backbone", "method", "batch", "ratio_full_over_this", "ratio_low", "ratio_high"],
    "kinds": ["backbone", "kind", "methods", "family", "metric", *ESTIMATE, "p", "p_holm"],
    "ranking": ["backbone", "family", "among", "methods", "statistic", *ESTIMATE, "across", "ceiling"],
    "equal_cost": ["backbone", "method", "family", "cost", "spent", "accuracy", "control", *ESTIMATE, "p"],
    "picks": ["backbone", "family", "method", "flops_ratio", "accuracy", *ESTIMATE, "first"],
}
"""Columns that each table must have."""
NEAR = 0.02
"""Shares of tokens that differ by no more count as equal: counts are rounded, and some methods can only come near."""


@dataclass(frozen=True)
class Report:
    """Everything that figures, tables and claims are drawn from."""

    study: Study
    folders: Folders
    summary: pd.DataFrame
    contrasts: pd.DataFrame
    effective: pd.DataFrame
    random_curve: pd.DataFrame
    chance: pd.DataFrame
    flops: pd.DataFrame
    latency: pd.DataFrame
    kinds: pd.DataFrame
    ranking: pd.DataFrame
    equal_cost: pd.DataFrame
    picks: pd.DataFrame
    machine: dict[str, Any]

    @cached_property
    def methods(self) -> tuple[Method, ...]:
        """The study's methods that have scores with any backbone, in the order of params.yaml."""
        scored = set(self.summary["method"])
        return tuple(method for method in describe(self.study.methods) if method.id in scored)

    @cached_property
    def _own(self) -> dict[str, tuple[Method, ...]]:
        pairs = set(zip(self.summary["backbone"], self.summary["method"], strict=True))
        return {
            name: tuple(m for m in self.methods if m.id in self.study.methods_of(name) and (name, m.id) in pairs)
            for name in self.backbones
        }

    def methods_of(self, backbone: str) -> tuple[Method, ...]:
        """Those of `methods` that the backbone is run with."""
        return self._own[backbone]

    @cached_property
    def backbones(self) -> tuple[str, ...]:
        """The study's backbones that have scores, in the order of params.yaml."""
        scored = set(self.summary["backbone"])
        return tuple(name for name in self.study.backbones if name in scored)

    @property
    def baseline(self) -> str:
        """Id of the method that every other one is compared with."""
        return self.study.scoring.baseline

    @property
    def floor(self) -> str:
        """Retention of the full model below which a condition counts for nothing, as text: `20%`."""
        return f"{100 * FLOOR:g}%"

    @cached_property
    def pictures(self) -> int:
        """How many pictures were asked about: `benchmark.images` may be null, for all, and bad ones are left out."""
        return int(files.read_table(self.folders.benchmark / "images.parquet", ["image_id"]).num_rows)

    @cached_property
    def sizes(self) -> str:
        """How many pictures and questions every number stands on: `n = 48 pictures, 624 questions a condition.`"""
        table = self.summary
        where = (table["method"] == self.baseline) & (table["family"] == "clean") & (table["metric"] == "accuracy/all")
        asked = sorted({int(n) for n in table.loc[where, "n"].dropna()})
        noun = "question" if asked == [1] else "questions"
        questions = f", {' or '.join(map(str, asked))} {noun} a condition" if asked else ""
        return f"n = {number_of(self.pictures, 'picture')}{questions}."

    def keeps(self) -> list[float]:
        """Keep ratios at which ATP has a random control, largest first; all ratios if there is no such pair."""
        shares: dict[str, set[float]] = {"atp": set(), "random": set()}
        for method in self.methods:
            if method.keep is not None and not method.variant:
                shares.setdefault(method.base, set()).add(method.keep)
        return sorted(shares["atp"] & shares["random"] or set().union(*shares.values()), reverse=True)

    def shown_keep(self) -> float | None:
        """The keep ratio of figures that show only one: of `keeps`, the middle one of those at which primary methods
        stand on most backbones."""
        keeps, primary = self.keeps(), set(self.study.scoring.primary)
        backbones = [
            sum(any(m.id in primary for m in self.at_keep(keep, name)) for name in self.backbones) for keep in keeps
        ]
        best = [keep for keep, count in zip(keeps, backbones, strict=True) if count == max(backbones)]
        return best[len(best) // 2] if best else None

    def share(self, backbone: str, method: str) -> float:
        """Share of the full model's visual tokens that a method leaves where it acts, times the share of those at the
        language model's input that its layers read on average: what methods are compared at. NaN if not measured."""

        def tokens(name: str, at: str) -> float:
            return self.estimate(backbone, name, f"tokens/{at}").value

        narrowed = tokens(method, "layer_mean") / tokens(method, "input")
        return tokens(method, "visual") / tokens(self.baseline, "visual") * narrowed

    def at_keep(self, keep: float | None, backbone: str) -> tuple[Method, ...]:
        """The baseline and a backbone's methods that leave this share of tokens, on average over the language model's
        layers and whatever their options say; without variants."""
        own = self.methods_of(backbone)
        near = {m.id for m in own if keep and abs(self.share(backbone, m.id) - keep) <= NEAR}
        return tuple(m for m in own if m.id == self.baseline or (not m.variant and m.id in near))

    @cached_property
    def _compared(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """Ids of the methods that scoring compared each backbone and method with."""
        rows = self.contrasts.groupby(["backbone", "method"], sort=False)["baseline"]
        return {(str(backbone), str(method)): tuple(ids.unique()) for (backbone, method), ids in rows}

    def compared(self, method: Method, backbone: str) -> tuple[Method, ...]:
        """What scoring compared a method with, but for the baseline."""
        ids = self._compared.get((backbone, method.id), ())
        return tuple(m for m in self.methods_of(backbone) if m.id in ids and m.id != self.baseline)

    def control(self, method: Method, backbone: str) -> Method | None:
        """Random pruning to as many tokens, on average over the language model's layers, if there is such an entry."""
        return next((other for other in self.compared(method, backbone) if other.base == "random"), None)

    def clean_twin(self, method: Method, backbone: str) -> Method | None:
        """The same method with `rank_from: clean`, if there is such an entry."""
        found = self.compared(method, backbone)
        return next((other for other in found if self.study.methods[other.id].rank_from == "clean"), None)

    def perturbations(self, family: str) -> list[str]:
        """Names in the order of params.yaml that have scores, without the mean."""
        chosen = self.study.perturbations.image if family == "image" else self.study.perturbations.text
        scored = set(self.summary.loc[self.summary["family"] == family, "perturbation"])
        return [name for name in chosen.names if name in scored]

    def dialogues(self) -> dict[str, str]:
        """What dialogues select by (`first`, `last`, `each`) to the condition's name, those that have scores."""
        scored = set(self.summary.loc[self.summary["family"] == "dialogue", "perturbation"])
        names = {chosen: dialogue_name(chosen) for chosen in self.study.answering.dialogues.select_by}
        return {chosen: name for chosen, name in names.items() if name in scored}

    def turns(self) -> list[int]:
        """Turns of a dialogue, from 1."""
        return list(range(1, self.study.answering.dialogues.turns + 1))

    @cached_property
    def _estimates(self) -> dict[tuple[str, ...], Estimate]:
        rows = self.summary[[*KEY, *ESTIMATE]].itertuples(index=False, name=None)
        return {row[:6]: Estimate(*row[6:]) for row in rows}

    def estimate(
        self,
        backbone: str,
        method: str,
        metric: str,
        family: str = "clean",
        perturbation: str = "",
        severity: str | int = "",
    ) -> Estimate:
        """One row of the summary; without perturbation and severity, the clean condition or the family's mean.

        The mean of a family at one severity is taken over its perturbations if the summary has no row for it; it then
        has no interval.
        """
        perturbation = perturbation or ("clean" if family == "clean" else "mean")
        severity = str(severity) if severity != "" else ("0" if family == "clean" else "mean")
        found = self._estimates.get((backbone, method, family, perturbation, severity, metric))
        if found is None and perturbation == "mean" and severity != "mean":
            cells = (
                self._estimates.get((backbone, method, family, name, severity, metric), Estimate())
                for name in self.perturbations(family)
            )
            values = [cell.value for cell in cells if cell.known]
            found = Estimate(sum(values) / len(values)) if values else None
        return found or Estimate()

    @cached_property
    def _contrasts(self) -> dict[tuple[str, ...], Contrast]:
        columns = COLUMNS["contrasts"][:-1]
        return {row[:7]: Contrast(*row[7:]) for row in self.contrasts[columns].itertuples(index=False, name=None)}

    def contrast(
        self,
        backbone: str,
        method: str,
        metric: str,
        family: str = "clean",
        perturbation: str = "",
        severity: str | int = "",
        baseline: str = "",
    ) -> Contrast:
        """One row of the contrasts, by default over all conditions of the family and against the baseline."""
        perturbation = perturbation or ("clean" if family == "clean" else "mean")
        severity = str(severity) if severity != "" else ("0" if family == "clean" else "mean")
        key = (backbone, method, baseline or self.baseline, family, perturbation, severity, metric)
        return self._contrasts.get(key, Contrast())

    def chance_level(self, metric: str = "accuracy/all") -> float:
        """What a model scores that gives every kind its most frequent answer, in %; NaN if unknown."""
        found = self.chance.loc[self.chance["metric"] == metric, "value"]
        return float(found.iloc[0]) if len(found) else math.nan

    def effective_robustness(self, backbone: str, method: str, family: str, severity: str = "mean") -> Contrast:
        """How far a method's perturbed accuracy lies above random pruning to the same clean accuracy, in points."""
        table = self.effective
        where = (table["backbone"] == backbone) & (table["method"] == method) & (table["family"] == family)
        rows = table[where & (table["severity"] == severity)]
        return Contrast(*(float(v) for v in rows.iloc[0][[*ESTIMATE, "p", "p_holm"]])) if len(rows) else Contrast()

    def floor_cells(self, backbone: str, family: str) -> list[tuple[str, int]]:
        """(perturbation, severity) of conditions in which the full model keeps too little of its lead over chance."""
        table = self.summary
        where = (table["backbone"] == backbone) & (table["method"] == self.baseline) & (table["family"] == family)
        rows = table[where & (table["metric"] == "robust/retention") & table["severity"].str.isdigit()]
        rows = rows[~rows["perturbation"].isin(["mean", "live"]) & ~(rows["value"] >= 100 * FLOOR)]
        return [(name, int(severity)) for name, severity in zip(rows["perturbation"], rows["severity"], strict=True)]

    def cells(self, family: str) -> int:
        """Conditions of a family that have scores, on one backbone."""
        table = self.summary[(self.summary["family"] == family) & self.summary["severity"].str.isdigit()]
        table = table[~table["perturbation"].isin(["mean", "live"])]
        return len(table[["perturbation", "severity"]].drop_duplicates())

    def total_flops(self, backbone: str, method: str, components: Sequence[str] = ()) -> float:
        """FLOPs of one question, of all components or of those named; NaN if not measured."""
        table = self.flops[(self.flops["backbone"] == backbone) & (self.flops["method"] == method)]
        if components:
            table = table[table["component"].isin(components)]
        return float(table["flops"].sum()) if len(table) else math.nan

    def weight_bytes(self, backbone: str) -> float:
        """Bytes of a backbone's weights in memory; NaN if not measured."""
        found = self.flops.loc[self.flops["backbone"] == backbone, "weight_bytes"]
        return float(found.iloc[0]) if len(found) else math.nan

    def flops_ratio(self, backbone: str, method: str, components: Sequence[str] = ()) -> float:
        """FLOPs of one question over the full model's, of all components or of those named; NaN if not measured."""
        full = self.total_flops(backbone, self.baseline, components)
        return self.total_flops(backbone, method, components) / full if full else math.nan

    def speedup(self, backbone: str, method: str, together: bool = False) -> Estimate:
        """Latency of the full model divided by the method's, with its quartiles: of one question on a picture, or of as
        many together as were timed."""
        table = self.latency[(self.latency["backbone"] == backbone) & (self.latency["method"] == method)]
        if not len(table):
            return Estimate()
        row = table.sort_values("batch").iloc[-1 if together else 0]
        return Estimate(float(row["ratio_full_over_this"]), float(row["ratio_low"]), float(row["ratio_high"]))

    def largest_batch(self, backbone: str) -> int:
        """How many questions on a picture were timed together, at most; 0 if none were timed."""
        return int(self.latency.loc[self.latency["backbone"] == backbone, "batch"].max() or 0)


def load(study: Study, folders: Folders) -> Report:
    """Read the tables of a study.

    Raises:
        PruneProofError: if a table is missing, lacks a column or holds no row of this study.
    """
    costs = ("flops", "latency")
    paths = {name: (folders.costs if name in costs else folders.scores) / f"{name}.csv" for name in COLUMNS}
    tables = {name: read_csv(path, COLUMNS[name]) for name, path in paths.items()}
    machine = files.read_json(folders.costs / "machine.json")
    report = Report(study, folders, **tables, machine=machine)
    if not report.methods or not report.backbones:
        raise PruneProofError(f"{paths['summary']} has no row of this study's methods: run `dvc repro score_answers`")
    return report


def read_csv(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read a CSV file; severities stay text (`3`, `mean`), other text columns are never numbers.

    Raises:
        PruneProofError: if the file is missing, empty or lacks a column.
    """
    text = ("backbone", "method", "baseline", "family", "perturbation", "severity", "metric", "component", "kind")
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(text, str), keep_default_na=False, na_values=[""])
    except FileNotFoundError:
        raise PruneProofError(f"{path} is missing: run the stage that writes it (`dvc repro`)") from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise PruneProofError(f"{path} cannot be read ({error}): delete it and run `dvc repro`") from None
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise PruneProofError(f"{path} lacks the column {missing[0]!r}: delete it and run `dvc repro`")
    return table


def pope_splits(report: Report) -> tuple[str, ...]:
    """POPE's splits that the study asks, in the order of its tables."""
    return tuple(name.removeprefix("pope/accuracy_") for name in report.chance["metric"] if "pope/accuracy_" in name)


def asked_kinds(report: Report) -> tuple[str, ...]:
    """Kinds of question, in the order in which the benchmark asks them."""
    names = (str(name).removeprefix("accuracy/") for name in report.chance["metric"] if name.startswith("accuracy/"))
    return tuple(name for name in names if name != "all")
