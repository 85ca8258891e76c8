"""What a study of many methods answers, in sentences that are made from its numbers by the rules of the claims."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from pruneproof.plurals import number_of
from pruneproof.reporting import claims
from pruneproof.reporting.beyond_chance import ALL, MARGINS, YES_NO, mean_at_chance, no_baseline, shortfall
from pruneproof.reporting.claims import Verdict
from pruneproof.reporting.estimates import Estimate, interval, number
from pruneproof.reporting.report import Report
from pruneproof.reporting.rival_table import measured
from pruneproof.reporting.rivals import KindMean, Pick, has_rivals, kind_means, over_random, picks, rankings, time_ratio
from pruneproof.scoring.controls import curve_entries, random_entries

FAMILIES = {"clean": "clean pictures", "image": "corruption", "text": "rewording"}
"""What a reader calls what the input went through."""
NAMED = 5
"""Methods that a sentence names, at most; the table has the others."""
STRONG = 0.5
"""A rank correlation above this, with its whole interval, lets one ranking stand for the other."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A question, and what the study says."""

    question: str
    sentences: tuple[str, ...]


def answers(report: Report, backbone: str) -> tuple[Answer, ...]:
    """All that the study can answer on one backbone; nothing if it has no kinds to compare."""
    if not has_rivals(report, backbone):
        return ()
    if reason := no_baseline(report, backbone, ALL):
        return (Answer("Which method is better than another?", (f"That is not judged, because {reason}.",)),)
    asked = (
        ("Which kind of method is more robust than its clean accuracy predicts?", _robust),
        ("Which kind beats random pruning that costs as much?", _beats_random),
        ("Which kind invents objects, if it finds as many as the full model does on clean pictures?", _invents),
        ("Does the ranking on clean pictures predict the ranking when the input is worse?", _ranking),
        (f"What would one pick at {report.study.scoring.flops_at_most:g} of the FLOPs?", _pick),
        ("What does it cost to run?", _time),
    )
    found = (Answer(question, tuple(answer(report, backbone))) for question, answer in asked)
    return tuple(one for one in found if one.sentences)


def _robust(report: Report, backbone: str) -> Iterator[str]:
    for family in ("image", "text"):
        means = kind_means(report, backbone, "effective", family)
        poor = mean_at_chance(report, backbone, {one.kind: one.methods for one in means}, ALL)
        where = f"Under {FAMILIES[family]}"
        yield from _sides(
            report, means, where, "more robust", "less robust", "cannot be told from its prediction", more_poor=poor
        )
        yield from _elsewhere(report, backbone, family)


def _elsewhere(report: Report, backbone: str, family: str) -> Iterator[str]:
    """Random pruning at other doors than the curve's: what a kind gains only by its door, it gains too."""
    methods = report.study.methods_of(backbone)
    curve = curve_entries(methods)
    others = {name: one for name, one in random_entries(methods).items() if name not in curve}
    shown = [
        f"{method.label} ({interval(found, sign=True, unit=' points')})"
        for method in report.methods_of(backbone)
        if method.id in others and (found := report.effective_robustness(backbone, method.id, family)).bounded
    ]
    if shown:
        yield f"Held against the same curve under {FAMILIES[family]}, random pruning elsewhere: {', '.join(shown)}."


def _beats_random(report: Report, backbone: str) -> Iterator[str]:
    for cost, equal in (("tokens", "as many tokens in the mean layer"), ("flops", "equal FLOPs")):
        means = kind_means(report, backbone, f"over_random/{cost}", "image")
        poor = mean_at_chance(report, backbone, {one.kind: one.methods for one in means}, ALL, "image")
        where = f"Under corruption, at {equal}"
        yield from _sides(report, means, where, "better than random", "worse", "cannot be told from it", more_poor=poor)


def _invents(report: Report, backbone: str) -> Iterator[str]:
    for family, where in (("clean", "On clean pictures"), ("image", "Under corruption")):
        means = kind_means(report, backbone, "hallucination/matched", family)
        if not means:
            continue
        if reason := no_baseline(report, backbone, YES_NO, family):
            yield f"{where}, no kind is judged, because {reason}."
            continue
        poor = mean_at_chance(report, backbone, {one.kind: one.methods for one in means}, MARGINS, family)
        more = "more absent objects than the full model"
        yield from _sides(report, means, where, more, "fewer", "cannot be told from it", less_poor=poor)
        yield from _spread(report, backbone, means, family)


def _spread(report: Report, backbone: str, means: Sequence[KindMean], family: str) -> Iterator[str]:
    """From which method to which the kinds with several methods reach: a mean may be the work of one of them."""
    known = {method.id: method for method in report.methods_of(backbone)}
    parts = []
    for kind in means:
        values = {
            name: measured(report, backbone, known[name], "hallucination/matched", family) for name in kind.methods
        }
        own = sorted((one.value, name) for name, one in values.items() if one.bounded)
        if kind.kind != "control" and len(own) > 1:
            ends = [f"{number(value, sign=True)} ({known[name].label})" for value, name in (own[0], own[-1])]
            parts.append(f"{kind.name} from {' to '.join(ends)}")
    if parts:
        yield f"Their methods differ: {', '.join(parts)}."


def _sides(
    report: Report,
    means: Sequence[KindMean],
    where: str,
    more: str,
    less: str,
    unsure: str,
    *,
    more_poor: Collection[str] = (),
    less_poor: Collection[str] = (),
) -> Iterator[str]:
    """One sentence on which kinds are surely on either side of zero; nothing without kinds.

    Args:
        report: the study.
        means: of the kinds.
        where: how the sentence begins.
        more: what is said of kinds above zero.
        less: of those below.
        unsure: of the others.
        more_poor: kinds at chance, of which `more` is not said.
        less_poor: kinds at chance, of which `less` is not said.
    """
    level = round(1.0 - report.study.scoring.confidence, 6)
    sides = [(one, claims.more_robust(one.estimate, level)) for one in means if one.kind != "control"]
    praise = {Verdict.SUPPORTED: more_poor, Verdict.NOT_SUPPORTED: less_poor, Verdict.INCONCLUSIVE: ()}
    poor = [one for one, verdict in sides if one.kind in praise[verdict]]
    judged = [(one, verdict) for one, verdict in sides if one not in poor]
    parts = []
    for verdict, text in ((Verdict.SUPPORTED, more), (Verdict.NOT_SUPPORTED, less), (Verdict.INCONCLUSIVE, unsure)):
        found = [one for one, judgement in judged if judgement is verdict]
        if found:
            parts.append(f"{text}: {', '.join(_kind(one) for one in found)}")
        elif verdict is Verdict.SUPPORTED and judged:
            parts.append(f"no kind is shown to {'invent' if 'objects' in text else 'be'} {text}")
    if poor:
        parts.append(f"not judged, because no better than chance: {', '.join(_kind(one) for one in poor)}")
    if parts:
        yield f"{where}, {'; '.join(parts)}."


def _kind(one: KindMean) -> str:
    return f"{one.name} ({interval(one.estimate, sign=True, unit=' points')})"


def _ranking(report: Report, backbone: str) -> Iterator[str]:
    for family in ("image", "text"):
        found = rankings(report, backbone, family)
        if ("all", "spearman") not in found:
            continue
        rho, tau = (found["all", statistic] for statistic in ("spearman", "kendall"))
        said = (
            f"Under {FAMILIES[family]}: {_agreement(rho.low)}. Over {rho.methods} methods Spearman's rank correlation "
        )
        said += f"is {_correlation(rho)} and Kendall's {_correlation(tau)}"
        if ("tokens", "spearman") in found:
            alike = found["tokens", "spearman"]
            said += f"; over the {alike.methods} that read about as many tokens Spearman's is {_correlation(alike)}"
        yield (
            f"{said}. From one half of the pictures to the other, the clean ranking predicts this one with "
            f"{number(rho.across, 2)}, and this one predicts itself with {number(rho.ceiling, 2)}, the most that half "
            "of the pictures allow."
        )


def _agreement(low: float) -> str:
    if low > STRONG:
        return "yes"
    return "in part" if low > 0 else "that is not shown"


def _correlation(row: object) -> str:
    value, low, high = (float(getattr(row, name)) for name in ("value", "low", "high"))
    return interval(Estimate(value, low, high), 2)


def _pick(report: Report, backbone: str) -> Iterator[str]:
    for family in ("image", "clean"):
        found = picks(report, backbone, family)
        if len(found) > 1:
            yield _picked(report, backbone, family, found)


def _picked(report: Report, backbone: str, family: str, found: Sequence[Pick]) -> str:
    best, rivals = found[0], found[1:]
    where = "under corruption" if family == "image" else "on clean pictures"
    live = " (where the full model survives)" if family == "image" else ""
    said = (
        f"Of the {len(found)} methods that cost no more, {best.method.label} ({number(best.flops, 2)} of the FLOPs) is "
        f"right most often {where}{live}, {number(best.accuracy)}%, and the best in {number(best.first, 0)}% of the "
        "resamples"
    )
    if reason := shortfall(report, backbone, best.method.id, ALL, family):
        return f"{said}; but it {reason}, so that there is none to pick."
    alike = [one for one in rivals if not one.behind.low > 0]
    next_ = (
        f"{rivals[0].method.label} ({number(rivals[0].flops, 2)} of the FLOPs, "
        f"{interval(rivals[0].behind, unit=' points')} behind)"
    )
    if alike:
        names = _named([one.method.label for one in alike if one is not rivals[0]])
        said += f"; it cannot be told apart from {next_}" + (f", nor from {names}" if names else "")
        cheapest = min(alike, key=lambda one: one.flops)
        if cheapest.flops < min(best.flops, rivals[0].flops):
            said += f"; of these, {cheapest.method.label} costs least ({number(cheapest.flops, 2)})"
    else:
        said += f"; it is ahead of all others, the next being {next_}"
    control = over_random(report, backbone, best.method.id, "flops", family)
    if control.bounded:
        text = f"random pruning at equal FLOPs ({interval(control, sign=True, unit=' points')})"
        verdict = "better than" if control.low > 0 else "worse than" if control.high < 0 else "not to be told from"
        said += f"; it is {verdict} {text}"
    return said + "."


def _time(report: Report, backbone: str) -> Iterator[str]:
    own = [method for method in report.methods_of(backbone) if report.flops_ratio(backbone, method.id) < 1]
    cheaper = [method for method in own if time_ratio(report, backbone, method.id).bounded]
    if not cheaper:
        return
    judged = [method for method in cheaper if method.kind != "control"]
    best = min(cheaper, key=lambda method: time_ratio(report, backbone, method.id).value)
    time, flops = time_ratio(report, backbone, best.id), report.flops_ratio(backbone, best.id)
    yield (
        f"{best.label} takes least time: {interval(time, 2)} of the full model's, for {number(flops, 2)} of its FLOPs "
        "(one question about a picture; quartiles over rounds)."
    )
    batch = report.largest_batch(backbone)
    save = f"of {number_of(len(judged), 'method')} that save{'s' if len(judged) == 1 else ''} FLOPs, controls aside,"
    for asked, together in {"One question": False, f"{batch} questions at once": True}.items():
        wasted = [m.label for m in judged if not time_ratio(report, backbone, m.id, together).high < 1]
        if judged and (batch > 1 or not together):
            yield (
                f"{asked} about a picture: {save} {len(wasted)} save{'s' if len(wasted) == 1 else ''} no time"
                + (f" ({_named(wasted)})." if wasted else ".")
            )


def _named(labels: Sequence[str]) -> str:
    """`A, B and 3 more`."""
    shown = list(labels[:NAMED])
    rest = len(labels) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest else "")
