"""Which entries of a study take part when methods are compared with each other: each counts once, at a fair budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pruneproof import pruning
from pruneproof.pruning.protocol import Kind
from pruneproof.settings import MethodSettings

ABOUT = 1.1
"""Token counts that differ by no more than this factor are about the same."""


def usable(methods: Mapping[str, MethodSettings], baseline: str) -> list[str]:
    """Ids of the entries that one could use: all but the baseline, and those that look at the clean picture.

    Args:
        methods: that a backbone is run with.
        baseline: id of the full model.
    """
    return [name for name, chosen in methods.items() if name != baseline and chosen.rank_from == "shown"]


def of_one_budget(names: Sequence[str], tokens: Mapping[str, float]) -> list[str]:
    """The largest set of entries that read about as many tokens, the first of several as large.

    Args:
        names: ids of entries.
        tokens: visual tokens that each reads, as a mean over the language model's layers.
    """
    sets = [[other for other in names if _alike(tokens[name], tokens[other])] for name in names]
    return max(sets, key=len, default=[])


def _alike(one: float, other: float) -> bool:
    return max(one, other) <= ABOUT * min(one, other)


def by_kind(
    names: Sequence[str], methods: Mapping[str, MethodSettings], tokens: Mapping[str, float]
) -> dict[Kind, list[str]]:
    """One entry of every method, by kind: that whose budget is nearest to the one of `of_one_budget`, the first of
    several as near. What has another kind by its options counts as another method.

    Args:
        names: ids of entries.
        methods: their settings.
        tokens: visual tokens that each reads, as a mean over the language model's layers.
    """
    common = of_one_budget(names, tokens)
    if not common:
        return {}
    aim = tokens[common[0]]
    entries: dict[tuple[Kind, str], list[str]] = {}
    for name in names:
        entries.setdefault((pruning.load(methods[name]).kind, methods[name].method), []).append(name)
    found: dict[Kind, list[str]] = {}
    for (kind, _), own in entries.items():
        found.setdefault(kind, []).append(min(own, key=lambda name: abs(tokens[name] - aim)))
    return found
