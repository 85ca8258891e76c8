"""The claims and the page as text: only their layout; what they say is decided elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from pruneproof.plurals import number_of
from pruneproof.reporting import paper_claims
from pruneproof.reporting.claims import Verdict
from pruneproof.reporting.estimates import number
from pruneproof.reporting.finding import finding
from pruneproof.reporting.methods import Method, adaptation_note
from pruneproof.reporting.paper_claims import Claim
from pruneproof.reporting.report import Report
from pruneproof.reporting.rival_answers import Answer, answers
from pruneproof.reporting.setup import setup
from pruneproof.reporting.shown import Shown
from pruneproof.reporting.table import Table


@dataclass(frozen=True, slots=True)
class Judgement:
    """The claims of one backbone."""

    backbone: str
    built_in: bool
    tower_mismatch: bool
    """Whether the settings take a text tower that does not match the vision tower."""
    methods: tuple[tuple[str, tuple[Claim, ...]], ...]
    """(label, claims) of every primary method, the one nearest to the paper's budget first."""
    budgets: tuple[tuple[str, tuple[Verdict, ...]], ...]
    """(label, verdicts in the order of claims) of every primary method and of their other budgets and variants."""
    adaptations: str
    """Which of them are not the published methods, and in what; empty if all are."""

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Those of the first method."""
        return self.methods[0][1]


def judgements(report: Report) -> tuple[Judgement, ...]:
    """The claims of every backbone that is run with a primary method."""
    chosen = {name: method for name in report.backbones if (method := paper_claims.paper_method(report, name))}
    found = {
        name: {m: paper_claims.judge(report, name, m) for m in paper_claims.judged_methods(report, name)}
        for name in chosen
    }
    general = paper_claims.generality(report, {name: found[name][method] for name, method in chosen.items()})
    return tuple(_judgement(report, name, chosen[name], judged, general) for name, judged in found.items())


def _judgement(
    report: Report, backbone: str, first: Method, judged: Mapping[Method, Sequence[Claim]], general: Claim
) -> Judgement:
    primary = [method for method in judged if method.id in report.study.scoring.primary]
    primary.sort(key=lambda method: method != first)
    return Judgement(
        backbone=backbone,
        built_in=paper_claims.is_built_in(report, backbone),
        tower_mismatch=report.study.backbones[backbone].allow_tower_mismatch,
        methods=tuple((m.label, (*judged[m], general) if m == first else tuple(judged[m])) for m in primary),
        budgets=tuple((m.label, tuple(claim.verdict for claim in claims)) for m, claims in judged.items()),
        adaptations=adaptation_note(judged),
    )


def claims_page(report: Report, judged: Sequence[Judgement], tables: Sequence[Table]) -> str:
    """`claims.md`, with those of the tables that cover the whole study."""
    beside = [table for table in tables if not table.backbone]
    return _environment().get_template("claims.md.j2").render(**_context(report, judged), beside=beside)


def html_page(
    report: Report, judged: Sequence[Judgement], tables: Sequence[Table], figures: Mapping[str, Sequence[Shown]]
) -> str:
    """`report.html`: one file that needs no other and no network; its links lead to files beside it.

    Args:
        report: the study.
        judged: from `judgements`.
        tables: of the whole study and of all backbones.
        figures: by backbone; the empty name holds the figures of the whole study.
    """
    opening = next((figure for name in report.backbones for figure in figures.get(name, ()) if figure.opens), None)
    context = _context(report, judged) | {"tables": tables, "figures": figures, "opening": opening}
    context |= {
        "compared": compared(report),
        "setup": setup(report),
        "judgements": {one.backbone: one for one in judged},
    }
    return _environment().get_template("report.html.j2").render(**context)


def compared(report: Report) -> dict[str, tuple[Answer, ...]]:
    """What the study says of many methods, on each backbone on which it says anything."""
    found = {name: answers(report, name) for name in report.backbones}
    return {name: own for name, own in found.items() if own}


def finding_page(report: Report) -> str:
    """`finding.md`: the finding, and what the study says of many methods; `summary` prints it."""
    context = {"findings": [finding(report, name) for name in report.backbones], "compared": compared(report)}
    return _environment().get_template("finding.md.j2").render(**context)


def _context(report: Report, judged: Sequence[Judgement]) -> dict[str, Any]:
    perturbations = report.study.perturbations
    return {
        "report": report,
        "study": report.study,
        "judged": judged,
        "pictures": number_of(report.pictures, "image"),
        "methods": number_of(len(report.methods), "method"),
        "findings": [finding(report, name) for name in report.backbones],
        "images": number_of(len(report.perturbations("image")), "image corruption"),
        "texts": number_of(len(report.perturbations("text")), "rewording"),
        "severities": ", ".join(str(level) for level in sorted(set(perturbations.image.severities))),
        "chance": number(report.chance_level()),
        "floors": "; ".join(
            f"{len(report.floor_cells(name, 'image'))} of {report.cells('image')} image and "
            f"{len(report.floor_cells(name, 'text'))} of {number_of(report.cells('text'), 'text condition')} on {name}"
            for name in report.backbones
        ),
        "confidence": f"{100 * report.study.scoring.confidence:g}%",
    }


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pruneproof.reporting"),
        autoescape=lambda name: bool(name and name.endswith(".html.j2")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = lambda text: text.replace("|", "\\|")
    environment.filters["index"] = _index
    environment.filters["bracket"] = _bracket
    environment.filters["tab"] = lambda backbone: f"on-{backbone}"
    return environment


def _index(text: str) -> Markup:
    """Escaped text in which `CHAIR_i` has its index and backticks mark code."""
    indexed = re.sub(r"CHAIR_([is])\b", r"CHAIR<sub>\1</sub>", str(escape(text)))
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", indexed))


def _bracket(text: str) -> Markup:
    """A table's cell, its interval below its value."""
    value, found, interval = text.partition(" [")
    return Markup(f"{escape(value)}<small>[{escape(interval)}</small>") if found else Markup(escape(text))
