"""Where the stages of a method fall in a language model of another depth than the one they were published for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from pruneproof.errors import PruneProofError


def require_stages(layers: Sequence[int], keep: Sequence[float], of: int) -> None:
    """Refuse stages that are not in order.

    Args:
        layers: where each stage acts, counted in a model of `of` layers.
        keep: share of visual tokens that each leaves.
        of: layers of that model.

    Raises:
        ValueError: naming what is out of order; pydantic reports it with the option's name.
    """
    if len(layers) != len(keep):
        raise ValueError(f"`keep` has {len(keep)} shares for {len(layers)} layers: give one for each")
    if layers[0] < 1 or layers[-1] >= of or any(later <= earlier for earlier, later in pairwise(layers)):
        raise ValueError(f"`layers` must ascend from at least 1 to at most {of - 1}, got {list(layers)}")
    if any(later > earlier for earlier, later in pairwise(keep)):
        raise ValueError(f"`keep` must not ascend, got {list(keep)}")


def at_depth(layers: Sequence[int], of: int, depth: int) -> tuple[int, ...]:
    """The layers of a model of `depth` layers before which stages act that were published for one of `of` layers.

    Each falls at the same share of the depth, rounded half up, but not before layer 1, and no two fall together.

    Args:
        layers: ascending, each 1 to `of` - 1.
        of: at least 2.
        depth: at least 1.

    Raises:
        PruneProofError: if there are more stages than layers after the first.
    """
    if len(layers) >= depth:
        raise PruneProofError(
            f"{len(layers)} stages of pruning need a language model of at least {len(layers) + 1} layers, this one has "
            f"{depth}: name fewer `layers` in the method's options"
        )
    found = [0]
    for done, layer in enumerate(layers):
        nearest = (2 * layer * depth + of) // (2 * of)
        found.append(min(max(nearest, found[-1] + 1), depth - len(layers) + done))
    return tuple(found[1:])


def spread(before: Sequence[int], counts: Sequence[int], start: int, depth: int) -> tuple[int, ...]:
    """Visual tokens at each of `depth` layers, if `counts` are left from the layers `before` on, and `start` at first.

    Args:
        before: ascending.
        counts: as many.
        start: at the language model's input.
        depth: layers.
    """
    left = dict(zip(before, counts, strict=True))
    at, result = start, []
    for layer in range(depth):
        at = left.get(layer, at)
        result.append(at)
    return tuple(result)
