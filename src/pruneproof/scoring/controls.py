"""Random pruning as a yardstick: which entries of a study draw its curves, and its score at a method's own cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pruneproof import pruning
from pruneproof.pruning.protocol import Door
from pruneproof.scoring.statistics import DECIMALS
from pruneproof.settings import MethodSettings

Floats = NDArray[np.float64]


def random_entries(methods: Mapping[str, MethodSettings]) -> dict[str, Door]:
    """Ids of the entries that prune at random, by what they are shown, and the door at which each acts.

    Args:
        methods: that a backbone is run with.
    """
    chosen = {name: one for name, one in methods.items() if one.method == "random" and one.rank_from == "shown"}
    return {name: pruning.load(one).door for name, one in chosen.items()}


def curve_entries(methods: Mapping[str, MethodSettings]) -> list[str]:
    """Ids of the random entries at the door where most of them act, in the order of params.yaml; of two doors with as
    many, the one that comes first.

    One curve has one door, because random pruning in the tower and in the language model is another method each.
    """
    return [*controls_beside(methods, None)]


def controls_beside(methods: Mapping[str, MethodSettings], door: Door | None) -> list[str]:
    """Ids of the random entries at a door; those of `curve_entries` if none acts there, or for no door."""
    entries = random_entries(methods)
    if not entries:
        return []
    usual = Counter(entries.values()).most_common(1)[0][0]
    wanted = door if door in entries.values() else usual
    return [name for name, own in entries.items() if own == wanted]


def at_cost(cost: float, costs: Floats, scores: Floats) -> Floats:
    """What a mixture of the two nearest controls scores at a given cost: (R).

    Linear between them: whoever answers a share of the questions with one and the rest with the other pays, and scores,
    just that. Above the dearest control its own score, since one may always spend less; nan below the cheapest.

    Args:
        cost: in the unit of the next.
        costs: (K) of the controls, in any order; of several with one cost, the mean counts.
        scores: (K, R) of the controls, resample by resample.

    Examples:
        >>> at_cost(0.5, np.array([0.4, 0.8]), np.array([[60.0], [80.0]])).tolist()
        [65.0]
    """
    places, inverse = np.unique(costs, return_inverse=True)
    means = np.stack([scores[inverse == place].mean(0) for place in range(len(places))])
    if cost < places[0]:
        return np.full(scores.shape[1], np.nan)
    above = min(int(np.searchsorted(places, cost)), len(places) - 1)
    below = max(above - 1, 0)
    width = places[above] - places[below]
    part = min((cost - places[below]) / width, 1.0) if width > 0 else 0.0
    found: Floats = (means[below] + part * (means[above] - means[below])).round(DECIMALS)
    return found
