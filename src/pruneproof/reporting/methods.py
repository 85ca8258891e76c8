"""How a method is named and drawn: the same colour, marker and name in every figure and table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pruneproof import pruning
from pruneproof.pruning.protocol import Kind
from pruneproof.settings import MethodSettings

FIXED = {"full": ("#2b2b2b", "o"), "random": ("#d55e00", "s"), "atp": ("#0072b2", "D")}
"""Colour and marker of the three methods of every study."""
PALETTE = (
    ("#009e73", "^"),
    ("#cc79a7", "v"),
    ("#56b4e9", "P"),
    ("#b8860b", "X"),
    ("#6a51a3", "<"),
    ("#8c564b", ">"),
)
"""Colours (Okabe and Ito's colour-blind-safe set, then darker ones) and markers of further methods, in order."""
LINES: dict[str, tuple[int, tuple[float, ...]]] = {"full": (0, ()), "random": (0, (1, 1)), "atp": (0, ())}


@dataclass(frozen=True, slots=True)
class Method:
    """One entry of `methods` in params.yaml, as a reader sees it."""

    id: str
    base: str
    """Name of its pruning method, such as `atp`."""
    title: str
    """What its file calls it: `ATP`."""
    kind: Kind
    """What it goes by."""
    keep: float | None
    """Share of visual tokens that are left after its last step; None for the full model, and where that depends on the
    picture."""
    variant: str
    """What distinguishes it from another entry of the same method and keep, such as `reversed`; usually empty."""
    colour: str
    marker: str
    line: tuple[int, tuple[float, ...]]
    """Dash pattern of Matplotlib."""

    @property
    def name(self) -> str:
        """`ATP` or, for a variant, `ATP (reversed)`."""
        return f"{self.title} ({self.variant})" if self.variant else self.title

    @property
    def label(self) -> str:
        """Name and share of tokens: `ATP 25%`, `ATP 25% (reversed)`, `Full`."""
        if self.keep is None:
            return self.name
        return f"{self.title} {round(100 * self.keep, 1):g}%" + (f" ({self.variant})" if self.variant else "")


def describe(settings: Mapping[str, MethodSettings]) -> tuple[Method, ...]:
    """The methods of a study in the order of params.yaml, each with its own colour and marker.

    The first entry of a method with a given keep is the method itself; later ones are variants, named by the
    rest of their id without the method's name and digits.
    """
    seen: set[tuple[str, float | None]] = set()
    spare = iter(PALETTE * len(settings))
    colours = dict(FIXED)
    described = []
    for method_id, chosen in settings.items():
        method = pruning.load(chosen)
        keep = pruning.share(method)
        variant = ""
        look: tuple[str, str]
        if (chosen.method, keep) in seen:
            rest = re.sub(r"_?\d+", "", method_id.removeprefix(chosen.method)).strip("_")
            variant = rest.replace("_", " ") or method_id
            look = next(spare)
        else:
            if chosen.method not in colours:
                colours[chosen.method] = next(spare)
            look = colours[chosen.method]
        seen.add((chosen.method, keep))
        line = LINES.get(chosen.method, (0, (4, 1.5))) if not variant else (0, (1, 1))
        described.append(Method(method_id, chosen.method, method.title, method.kind, keep, variant, *look, line))
    return tuple(described)
