"""Sweeps: entries of one method in which two numeric options vary against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from pruneproof import registry
from pruneproof.reporting.estimates import MINUS
from pruneproof.reporting.methods import Method
from pruneproof.reporting.report import Report
from pruneproof.reporting.style import plain
from pruneproof.settings import MethodSettings

LEAST = 2
"""Values of either option, all of them with each other, that make a sweep."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry of a sweep."""

    panel: str
    """The settings of all options that vary besides the two: `relevance sign 1`; empty if none does."""
    across: float
    down: float
    """Values of the two options."""
    method: Method


@dataclass(frozen=True, slots=True)
class Sweep:
    """Entries of one method on one backbone, panel by panel."""

    base: str
    """The method's name in params.yaml."""
    title: str
    across: str
    down: str
    """Names of the two options; `down` is the one that sets the budget, if one of them does."""
    cells: tuple[Cell, ...]


def sweeps(report: Report, backbone: str) -> list[Sweep]:
    """The sweeps of a backbone, in the order of its methods; entries that rank tokens on clean pictures are in none."""
    entries: dict[str, list[Method]] = {}
    for method in report.methods_of(backbone):
        if report.study.methods[method.id].rank_from == "shown":
            entries.setdefault(method.base, []).append(method)
    found = (_sweep(methods, report.study.methods) for methods in entries.values())
    return [sweep for sweep in found if sweep is not None]


def options_of(settings: MethodSettings) -> dict[str, Any]:
    """All options of an entry, with the defaults of those that params.yaml leaves out."""
    module = registry.load_module("pruneproof.pruning", settings.method, "pruning method")
    own: dict[str, Any] = module.Settings.model_validate(settings.options).model_dump()
    return own


def _sweep(methods: Sequence[Method], settings: Mapping[str, MethodSettings]) -> Sweep | None:
    """The two numeric options that vary most, over each other; None if nothing of them is a grid."""
    options = {method: options_of(settings[method.id]) for method in methods}
    values = {name: [own[name] for own in options.values()] for name in options[methods[0]]}
    varied = {name: len(set(map(repr, seen))) for name, seen in values.items()}
    numeric = [name for name, seen in values.items() if varied[name] >= LEAST and all(map(_is_number, seen))]
    if len(numeric) < 2:
        return None
    budgets = [name for name in numeric if _sets_budget(name, options)]
    chosen = sorted(numeric, key=lambda name: (-varied[name], name not in budgets))[:2]
    down = next((name for name in chosen if name in budgets), chosen[1])
    (across,) = (name for name in chosen if name != down)
    others = [name for name in values if varied[name] >= LEAST and name not in chosen]
    panels: dict[tuple[str, ...], dict[tuple[float, float], Method]] = {}
    for method, own in options.items():
        panel = panels.setdefault(tuple(f"{plain(name)} {written(own[name])}" for name in others), {})
        panel.setdefault((own[across], own[down]), method)
    panels = {key: panel for key, panel in panels.items() if len(panel) > 1}
    if not any(_is_grid(list(panel)) for panel in panels.values()):
        return None
    told = [place for place in range(len(others)) if len({key[place] for key in panels}) > 1]
    cells = (
        Cell(", ".join(key[place] for place in told), x, y, panel[x, y])
        for key, panel in panels.items()
        for x, y in sorted(panel)
    )
    return Sweep(methods[0].base, methods[0].title, across, down, tuple(cells))


def written(value: object) -> str:
    """An option's value for a reader."""
    return f"{value:g}".replace("-", MINUS) if _is_number(value) else plain(str(value))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _sets_budget(name: str, options: Mapping[Method, Mapping[str, Any]]) -> bool:
    """Whether the option alone decides what share of tokens is kept."""
    pairs = {(own[name], method.keep) for method, own in options.items()}
    return len({value for value, _ in pairs}) == len({keep for _, keep in pairs}) == len(pairs)


def _is_grid(places: Sequence[tuple[float, float]]) -> bool:
    """Whether two values of one option stand with the same two of the other."""
    columns: dict[float, set[float]] = {}
    for x, y in places:
        columns.setdefault(x, set()).add(y)
    return any(len(one & other) >= LEAST for one, other in combinations(columns.values(), LEAST))
