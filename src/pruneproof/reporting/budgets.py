"""How many visual tokens methods leave, and where: as few columns as say it."""

from __future__ import annotations

from collections.abc import Iterable

from pruneproof.reporting.estimates import number
from pruneproof.reporting.methods import Method
from pruneproof.reporting.report import Report

KEPT, INPUT, MEAN = "tokens/visual", "tokens/input", "tokens/layer_mean"
SPREAD = "tokens/deviation"
"""How far questions lie from the mean, of a method whose budget depends on the picture."""
LEGEND = {
    "Kept": "kept: left where a method acts",
    "Input": "input: read by the language model's first layer",
    "Mean": "mean: over its layers",
}


def token_columns(report: Report, methods: Iterable[tuple[str, Method]]) -> dict[str, str]:
    """Heading and metric of each column, by what differs for any of these (backbone, method).

    What the language model reads at its input comes first to mind, and alone is called `Tokens`. A method that acts
    before a Q-Former leaves another number there, and one inside the language model another one after that.
    """

    def differs(one: str, other: str) -> bool:
        found = [(report.estimate(b, m.id, one).value, report.estimate(b, m.id, other).value) for b, m in chosen]
        return any(abs(a - b) >= 0.5 for a, b in found)

    chosen = list(methods)
    columns = {"Kept": KEPT} if differs(KEPT, INPUT) else {}
    columns["Input"] = INPUT
    if differs(MEAN, INPUT):
        columns["Mean"] = MEAN
    return columns if len(columns) > 1 else {"Tokens": INPUT}


def token_cell(report: Report, backbone: str, method: Method, metric: str) -> str:
    """A number of tokens, with its spread where that depends on the picture: `64`, `61 ± 12`."""
    spread = report.estimate(backbone, method.id, SPREAD).value
    shown = number(report.estimate(backbone, method.id, metric).value, 0)
    return f"{shown} \N{PLUS-MINUS SIGN} {number(spread, 0)}" if spread >= 0.5 else shown


def token_note(columns: Iterable[str]) -> str:
    """What the columns are, for captions."""
    told = "; ".join(LEGEND[name] for name in columns if name in LEGEND)
    return f"Visual tokens ({told})" if told else "Visual tokens at the language model's input"
