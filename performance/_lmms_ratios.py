"""What the comparison says: which answers agree, and ratios of seconds with their spread."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

OURS, THEIRS = "pruneproof", "lmms-eval"
GOALS: Mapping[tuple[str, str, str], float] = {
    ("rows", "full", "whole"): 20,
    ("rows", "atp_60", "whole"): 12,
    ("unique", "full", "inside"): 16,
    ("unique", "atp_60", "inside"): 9,
}
"""Ratios aimed at with two cores, by questions, method and what is counted."""


@dataclass(frozen=True, slots=True)
class Case:
    """What both sides do in turn."""

    questions: str
    """`rows` with repeats, or `unique`."""
    methods: tuple[str, ...]
    """One; several are answered by PruneProof in one process and by lmms-eval one after another."""
    threads: int

    @property
    def method(self) -> str:
        """Its name in tables."""
        return "+".join(self.methods)


@dataclass(frozen=True, slots=True)
class Run:
    """One side's process, or the sum of several."""

    round: int
    side: str
    case: Case
    rows: int
    """Rows that have an answer in the end."""
    whole_s: float
    """From the command line to its end."""
    start_s: float
    """Until the first answers."""
    inside_s: float
    """From there to the last answer."""
    rows_inside: float
    """Rows that were answered in that time, a repeat with the question that it repeats; 0 if too few to tell."""

    @property
    def speed(self) -> float:
        """Rows a second between the first answers and the last; 0 if too few to tell."""
        return self.rows_inside / self.inside_s if self.inside_s else 0.0


@dataclass(frozen=True, slots=True)
class Ratio:
    """lmms-eval's seconds over PruneProof's, in each round."""

    case: Case
    counted: str
    """`whole` processes, or `inside` them from the first answers to the last."""
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """Over the rounds."""
        return statistics.median(self.values)

    @property
    def goal(self) -> float | None:
        """What is aimed at with two threads."""
        return GOALS.get((self.case.questions, self.case.method, self.counted)) if self.case.threads == 2 else None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Both sides' answers to the same rows."""

    questions: str
    method: str
    rows: int
    equal: int
    different: tuple[str, ...]
    """Each picture, question and both answers."""


def ratios(runs: Sequence[Run]) -> list[Ratio]:
    """One for every case and way of counting that both sides have run in the same round, in the order of the runs."""
    found: list[Ratio] = []
    for case in dict.fromkeys(run.case for run in runs):
        own = {(run.round, run.side): run for run in runs if run.case == case}
        pairs = [
            (own[n, OURS], own[n, THEIRS])
            for n in sorted({n for n, _ in own})
            if {(n, OURS), (n, THEIRS)} <= own.keys()
        ]
        if pairs:
            found.append(Ratio(case, "whole", tuple(theirs.whole_s / ours.whole_s for ours, theirs in pairs)))
        if pairs and all(run.rows_inside for pair in pairs for run in pair):
            found.append(Ratio(case, "inside", tuple(ours.speed / theirs.speed for ours, theirs in pairs)))
    return found


def agreement(
    questions: str, method: str, ours: Mapping[tuple[str, str], str], theirs: Iterable[tuple[tuple[str, str], str]]
) -> Agreement:
    """Compare texts, without the blanks around them, row by row.

    Args:
        questions: `rows` or `unique`.
        method: its id.
        ours: by picture and question.
        theirs: the same for every row.

    Raises:
        KeyError: if we have no answer to a row of theirs.
    """
    rows = [(asked, ours[asked].strip(), text.strip()) for asked, text in theirs]
    off = [f"{asked[0]}: {asked[1]} {OURS} {own!r}, {THEIRS} {text!r}" for asked, own, text in rows if own != text]
    return Agreement(questions, method, len(rows), len(rows) - len(off), tuple(dict.fromkeys(off)))


def table(found: Sequence[Ratio], runs: Sequence[Run]) -> str:
    """Lines of Markdown, one for each ratio."""
    head = "| questions | method | threads | counted | times as fast (range) | goal | PruneProof | lmms-eval |"
    lines = [head, "|---|---|---:|---|---:|---:|---:|---:|"]
    for ratio in found:
        case = ratio.case
        spread = f"{ratio.median:.1f} ({min(ratio.values):.1f} to {max(ratio.values):.1f})"
        goal = "" if ratio.goal is None else f"{ratio.goal:g}"
        medians = [
            _said(ratio, [run for run in runs if run.case == case and run.side == side]) for side in (OURS, THEIRS)
        ]
        cells = [case.questions, case.method, str(case.threads), ratio.counted, spread, goal, *medians]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _said(ratio: Ratio, runs: Sequence[Run]) -> str:
    if ratio.counted == "whole":
        return f"{statistics.median(run.whole_s for run in runs):.1f} s"
    return f"{statistics.median(run.speed for run in runs):.1f}/s"
