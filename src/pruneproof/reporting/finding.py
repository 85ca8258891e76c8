"""The study's finding in one sentence a backbone, from the numbers and by the rules of the claims."""

from __future__ import annotations

from collections.abc import Sequence

from pruneproof.reporting import claims
from pruneproof.reporting.claims import Verdict
from pruneproof.reporting.estimates import Contrast, interval
from pruneproof.reporting.methods import Method
from pruneproof.reporting.report import Report

NAMED = 2
"""Methods of a group, at most, that are all named; of more, how many they are and the extreme one."""

Entry = tuple[Method, Contrast]


def finding(report: Report, backbone: str) -> str:
    """Which methods are more robust than their clean accuracy predicts, and which invent objects at matched recall.

    Primary methods are judged, with their correction; all but the full model and controls if the backbone is run with
    no primary one.
    """
    methods = judged_methods(report, backbone)
    if not methods:
        return f"On `{backbone}` there is no method to judge."
    level = round(1.0 - report.study.scoring.confidence, 6)
    name = "primary method" if report.study.scoring.primary else "method"
    robust = [(m, report.effective_robustness(backbone, m.id, "image")) for m in methods]
    invents = [(m, report.contrast(backbone, m.id, "clean/hallucination/matched")) for m in methods]
    more, less, open_ = _sorted([(e, claims.more_robust(e[1], level)) for e in robust if e[1].known])
    fewer, added, unsure = _sorted([(e, claims.better(e[1], level)) for e in invents if e[1].known])
    parts = []
    if more or less or open_:
        all_ = len(more) + len(less) + len(open_)
        parts.append(
            f"{_who(more, name, all_)} more robust to corrupted pictures than clean accuracy predicts"
            + (f", {_who(less, name, all_, most=-1)} less robust" if less else "")
            + (f", and {_who(open_, name, all_, values=False)} undecided" if open_ else "")
        )
    if any(estimate.known for _, estimate in invents):
        parts.append(
            f"at the full model's recall {_who(added, name, len(invents), verb='invent')} more absent objects"
            + (f", and {_who(fewer, name, len(invents), most=-1, verb='invent')} fewer" if fewer else "")
            + (f"; {_who(unsure, name, len(invents), values=False)} undecided" if unsure else "")
        )
    return f"On `{backbone}`, {'; '.join(parts) or 'nothing was measured that decides it'}."


def judged_methods(report: Report, backbone: str) -> list[Method]:
    """A backbone's primary methods; without any, all but the full model, controls and diagnoses."""
    own = report.methods_of(backbone)
    primary = [method for method in own if method.id in report.study.scoring.primary]
    return primary or [method for method in own if method.kind not in ("full", "control") and not method.diagnosis]


def _sorted(judged: Sequence[tuple[Entry, Verdict]]) -> tuple[list[Entry], list[Entry], list[Entry]]:
    """Those supported, not supported, and undecided."""
    order = (Verdict.SUPPORTED, Verdict.NOT_SUPPORTED, Verdict.INCONCLUSIVE)
    supported, refuted, undecided = ([entry for entry, verdict in judged if verdict is one] for one in order)
    return supported, refuted, undecided


def _who(entries: list[Entry], name: str, all_: int, *, most: int = 1, verb: str = "", values: bool = True) -> str:
    """`no primary method is`, `ATP 60% (+1.2 points [0.3, 2.1]) is`, `3 of 18 methods are (most: ...)`."""

    def told(entry: Entry) -> str:
        method, estimate = entry
        return method.label + (f" ({interval(estimate, sign=True, unit=' points')})" if values else "")

    one, several = (f"{verb}s", verb) if verb else ("is", "are")
    if not entries:
        return f"no {name} {one}"
    if len(entries) <= NAMED:
        return f"{' and '.join(map(told, entries))} {one if len(entries) == 1 else several}"
    count = f"all {all_} {name}s" if len(entries) == all_ else f"{len(entries)} of {all_} {name}s"
    extreme = max(entries, key=lambda entry: most * entry[1].value)
    return f"{count} {several}" + (f" (most: {told(extreme)})" if values else "")
