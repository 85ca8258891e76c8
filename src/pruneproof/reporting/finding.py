"""The study's finding in one sentence a backbone, from the numbers and by the rules of the claims."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pruneproof.reporting import claims
from pruneproof.reporting.beyond_chance import ALL, MARGINS, YES_NO, no_baseline, shortfall
from pruneproof.reporting.claims import Verdict
from pruneproof.reporting.estimates import Contrast, interval
from pruneproof.reporting.methods import Method
from pruneproof.reporting.report import Report

NAMED = 2
"""Methods of a group, at most, that are all named; of more, how many they are and the extreme one."""

Entry = tuple[Method, Contrast]


@dataclass(frozen=True, slots=True)
class _Words:
    """How methods are said to lie on either side of zero."""

    one: str
    """The verb of one method; of several it is `several`, and after `is shown to` it is `shown`."""
    several: str
    shown: str
    more: str
    less: str
    either: str
    what: str
    """What follows the first of these three."""


ROBUST = _Words(
    one="is",
    several="are",
    shown="be",
    more="more robust",
    less="less robust",
    either="more or less robust",
    what="to corrupted pictures than clean accuracy predicts",
)
INVENTS = _Words(
    one="invents",
    several="invent",
    shown="invent",
    more="more",
    less="fewer",
    either="more or fewer",
    what="absent objects",
)


def finding(report: Report, backbone: str) -> str:
    """Which methods are more robust than their clean accuracy predicts, and which invent objects at matched recall.

    Primary methods are judged, with their correction; all but the full model and controls if the backbone is run with
    no primary one. Where nothing is shown, the sentence says so: that is no proof of being alike. Nothing is judged
    beside a full model at chance, and no method at chance is called better; the sentence then says that instead.
    """
    methods = judged_methods(report, backbone)
    if not methods:
        return f"On `{backbone}` there is no method to judge."
    level = round(1.0 - report.study.scoring.confidence, 6)
    parts = [*_robustness(report, backbone, methods, level), *_invented(report, backbone, methods, level)]
    return f"On `{backbone}`, {'; '.join(parts) or 'neither robustness nor invented objects were measured'}."


def _robustness(report: Report, backbone: str, methods: Sequence[Method], level: float) -> Iterator[str]:
    """What is said of robustness, in clauses: none if it was not measured."""
    found = [(method, report.effective_robustness(backbone, method.id, "image")) for method in methods]
    if report.perturbations("image") and (reason := no_baseline(report, backbone, ALL)):
        yield f"robustness to corrupted pictures is not judged, because {reason}"
        return
    poor = {method.id: reason for method in methods if (reason := shortfall(report, backbone, method.id, ALL))}
    more, less, open_ = _sorted(
        [(e, _not_in_favour(claims.more_robust(e[1], level), e[0].id in poor)) for e in found if e[1].known]
    )
    if more or less or open_:
        yield _told(ROBUST, _noun(report, methods), more, less, open_)
    if report.perturbations("image"):
        yield from _at_chance([method for method, _ in less], methods, poor, "called more robust")


def _invented(report: Report, backbone: str, methods: Sequence[Method], level: float) -> Iterator[str]:
    """What is said of invented objects, in clauses: none if they were not counted."""
    found = [(m, report.contrast(backbone, m.id, "clean/hallucination/matched")) for m in methods]
    known = [(method, contrast) for method, contrast in found if contrast.known]
    if not known:
        return
    if reason := no_baseline(report, backbone, YES_NO):
        yield f"invented objects are not judged, because {reason}"
        return
    poor = {m.id: reason for m, _ in known if (reason := shortfall(report, backbone, m.id, MARGINS))}
    fewer, added, unsure = _sorted([(e, _not_in_favour(claims.better(e[1], level), e[0].id in poor)) for e in known])
    yield f"at the full model's recall, {_told(INVENTS, _noun(report, methods), added, fewer, unsure)}"
    yield from _at_chance([method for method, _ in added], methods, poor, "said to invent fewer")


def _noun(report: Report, methods: Sequence[Method]) -> str:
    return "primary method" if methods[0].id in report.study.scoring.primary else "method"


def _not_in_favour(verdict: Verdict, at_chance: bool) -> Verdict:
    """The verdict, but for one in favour of a method at chance."""
    return Verdict.INCONCLUSIVE if at_chance and verdict is Verdict.SUPPORTED else verdict


def _at_chance(
    refuted: Sequence[Method], methods: Sequence[Method], poor: Mapping[str, str], praise: str
) -> Iterator[str]:
    """Why methods at chance have no verdict: `ATP 25% is no better than chance (...) and is not called more robust`."""
    own = [method for method in methods if method.id in poor and method not in refuted]
    if len(own) > NAMED:
        yield f"{len(own)} methods are not shown to be better than chance, and none of them is {praise}"
    elif own:
        yield "; ".join(f"{method.label} {poor[method.id]} and is not {praise}" for method in own)


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


def _told(words: _Words, name: str, more: list[Entry], less: list[Entry], open_: list[Entry]) -> str:
    """Who is on which side: `ATP 60% (+2.0 points [1.0, 3.0]) is more robust ..., and ATP 25% is undecided`."""
    everyone = len(more) + len(less) + len(open_)
    if not more and not less:
        return f"{_none(open_, name)} shown to {words.shown} {words.either} {words.what}"
    clauses = list[str]()
    for entries, word, sign in ((more, words.more, 1), (less, words.less, -1)):
        if entries:
            verb = words.one if len(entries) == 1 else words.several
            what = "" if clauses or (less and open_ and not more) else f" {words.what}"
            clauses.append(f"{_who(entries, name, everyone)} {verb} {word}{what}{_furthest(entries, sign)}")
    if open_:
        clauses.append(f"{_who(open_, name, everyone, values=False)} {'is' if len(open_) == 1 else 'are'} undecided")
    said = ", and ".join((", ".join(clauses[:-1]), clauses[-1])) if len(clauses) > 1 else clauses[0]
    if more or not open_:
        return said
    return f"no {name} is shown to {words.shown} {words.more} {words.what}; {said}"


def _none(entries: list[Entry], name: str) -> str:
    """`ATP 60% is not`, `neither ATP 60% nor ATP 25% is`, `none of the 3 primary methods is`."""
    labels = [method.label for method, _ in entries]
    if len(labels) == 1:
        return f"{labels[0]} is not"
    return f"neither {' nor '.join(labels)} is" if len(labels) == 2 else f"none of the {len(labels)} {name}s is"


def _who(entries: list[Entry], name: str, everyone: int, *, values: bool = True) -> str:
    """`ATP 60% (+1.2 points [0.3, 2.1])`, `all 3 primary methods`, `3 of 18 methods`."""
    if len(entries) <= NAMED:
        return " and ".join(method.label + (f" ({_points(found)})" if values else "") for method, found in entries)
    return f"all {everyone} {name}s" if len(entries) == everyone else f"{len(entries)} of {everyone} {name}s"


def _furthest(entries: list[Entry], sign: int) -> str:
    """The extreme one of methods that are too many to be named; nothing for others."""
    if len(entries) <= NAMED:
        return ""
    method, found = max(entries, key=lambda entry: sign * entry[1].value)
    return f" (furthest: {method.label}, {_points(found)})"


def _points(found: Contrast) -> str:
    return interval(found, sign=True, unit=" points")
