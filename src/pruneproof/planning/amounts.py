"""How much of something has to be computed, in the units that time follows from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

Part: TypeAlias = Literal[
    "pictures read", "vision tower", "connector", "text tower", "selection", "prefill", "decode", "around"
]
"""What answering consists of. `selection` is a method's own work before the language model, apart from the text tower;
what it does inside the language model belongs to `prefill`. `around` is what surrounds the model: tokenising, decoding,
keeping answers."""


@dataclass(frozen=True, slots=True)
class Amount:
    """Some work; amounts add up."""

    flops: float = 0.0
    """By the conventions of `backbones.flops`."""
    layers: float = 0.0
    """Times that a layer is called, each of which costs something whatever its size."""
    bytes: float = 0.0
    """Weights, keys and values that pass through memory, where that may take longer than computing."""
    operations: float = 0.0
    """Small operations of torch, one after the other."""
    items: float = 0.0
    """Pictures that are decoded, or questions that are put and read."""

    def __add__(self, other: Amount) -> Amount:
        return Amount(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __mul__(self, times: float) -> Amount:
        return Amount(*(getattr(self, f.name) * times for f in fields(self)))


Work: TypeAlias = Mapping[Part, Amount]


def added(works: Iterable[Work]) -> dict[Part, Amount]:
    """Some works together, part by part."""
    found: dict[Part, Amount] = {}
    for work in works:
        for part, amount in work.items():
            found[part] = found.get(part, Amount()) + amount
    return found
