"""How a method is named and drawn: the same colour, marker and name in every figure and table.

Colour says which kind of method it is, the marker which of that kind; variants have hollow markers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pruneproof import pruning
from pruneproof.pruning.protocol import Kind
from pruneproof.settings import MethodSettings

COLOURS: dict[Kind, str] = {
    "full": "#111111",
    "control": "#757575",
    "attention": "#0b57c4",
    "diversity": "#0c6b38",
    "text-guided": "#d0278e",
    "merging": "#946a00",
    "language": "#8c1c0c",
}
"""Kinds in the order of figures and tables, dark enough for text on white, and apart for colour-blind readers."""
KIND_NAMES: dict[Kind, str] = {"full": "full model", "language": "in the language model"}
"""What a key calls a kind, if not by its own name."""
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">", "p", "h", "*")
"""Of the methods of one kind, in order."""
DASHES: tuple[tuple[int, tuple[float, ...]], ...] = ((0, ()), (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
"""Dash patterns of the methods of one kind, in order."""


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
    marker: str
    line: tuple[int, tuple[float, ...]]
    """Dash pattern of Matplotlib."""
    adaptation: str = ""
    """What stands for something that its paper needs; empty for the published method."""
    diagnosis: bool = False
    """Whether it looks at clean pictures (`rank_from: clean`), which nobody has who is shown a corrupted one: it tells
    what a method fails at, and is no rival of others."""

    @property
    def colour(self) -> str:
        """That of its kind."""
        return COLOURS[self.kind]

    @property
    def face(self) -> str:
        """Colour inside its marker: white for a variant."""
        return "white" if self.variant else self.colour

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
    """The methods of a study, each with its own look: the full model, controls, then kind by kind, method by method;
    within one method in the order of params.yaml.

    The first entry of a title with a given keep is the method itself; later ones are variants, named by the
    rest of their id without the method's name and digits. Where two would be called the same, digits stay, and those
    joined by `_` are a decimal: `atp_60_alpha_0_25` is `alpha 0.25`. Entries of one method with several budgets look
    alike.
    """
    loaded = {name: pruning.load(chosen) for name, chosen in settings.items()}
    shares = {name: pruning.share(method) for name, method in loaded.items()}
    alike = Counter((loaded[name].title, shares[name], _rest(name, chosen.method)) for name, chosen in settings.items())
    seen: set[tuple[str, float | None]] = set()
    looks: dict[Kind, list[tuple[str, str]]] = {kind: [] for kind in COLOURS}
    described = []
    for method_id, chosen in settings.items():
        method, keep, variant = loaded[method_id], shares[method_id], ""
        if (method.title, keep) in seen:
            rest = _rest(method_id, chosen.method)
            if alike[method.title, keep, rest] > 1:
                rest = _rest(method_id, chosen.method, digits=True)
            variant = rest or method_id
        seen.add((method.title, keep))
        if (look := (method.title, variant)) not in looks[method.kind]:
            looks[method.kind].append(look)
        place = looks[method.kind].index(look)
        marker, line = MARKERS[place % len(MARKERS)], DASHES[place % len(DASHES)]
        described.append(
            Method(
                method_id, chosen.method, method.title, method.kind, keep, variant, marker, line,
                adaptation=method.adaptation,
                diagnosis=chosen.rank_from == "clean",
            )
        )  # fmt: skip
    kinds, bases = list(COLOURS), list(dict.fromkeys(one.base for one in described))
    return tuple(sorted(described, key=lambda one: (kinds.index(one.kind), bases.index(one.base))))


def _rest(method_id: str, base: str, digits: bool = False) -> str:
    """What an id says besides the method's name and budget; with `digits` only its first number is taken for that."""
    rest = re.sub(r"_?\d+", "", method_id.removeprefix(base), count=1 if digits else 0)
    return re.sub(r"(?<=\d)_(?=\d)", ".", rest).strip("_").replace("_", " ")


def adaptation_note(methods: Iterable[Method]) -> str:
    """Which methods are not the published ones, and in what; empty if all are."""
    told = {method.title: method.adaptation for method in methods if method.adaptation}
    return "".join(f" {title}: {what}." for title, what in told.items())
