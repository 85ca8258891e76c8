"""The claims and the page as text: only their layout; what they say is decided elsewhere."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from pruneproof.reporting import paper_claims
from pruneproof.reporting.claims import Verdict
from pruneproof.reporting.estimates import number
from pruneproof.reporting.paper_claims import Claim
from pruneproof.reporting.report import Report
from pruneproof.reporting.table import Table


@dataclass(frozen=True, slots=True)
class Shown:
    """One figure of the page."""

    title: str
    caption: str
    path: str
    """Of the PNG, relative to the reports folder."""
    png: bytes

    @property
    def data(self) -> str:
        """The picture as a data address."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True, slots=True)
class Judgement:
    """The claims of one backbone."""

    backbone: str
    built_in: bool
    tower_mismatch: bool
    """Whether the settings take a text tower that does not match the vision tower."""
    label: str
    """The ATP entry that the claims are judged on."""
    claims: tuple[Claim, ...]
    budgets: tuple[tuple[str, tuple[Verdict, ...]], ...]
    """(label, verdicts in the order of `claims`) of every ATP entry."""


def judgements(report: Report) -> tuple[Judgement, ...]:
    """The claims of every backbone that is run with ATP, judged at the paper's budget and, in short, for every other
    ATP entry of it."""
    chosen = {name: method for name in report.backbones if (method := paper_claims.paper_method(report, name))}
    found = {
        name: {m: paper_claims.judge(report, name, m) for m in report.methods_of(name) if m.base == "atp"}
        for name in chosen
    }
    general = paper_claims.generality(report, {name: found[name][method] for name, method in chosen.items()})
    return tuple(
        Judgement(
            backbone=name,
            built_in=paper_claims.is_built_in(report, name),
            tower_mismatch=report.study.backbones[name].allow_tower_mismatch,
            label=chosen[name].label,
            claims=(*claims[chosen[name]], general),
            budgets=tuple((m.label, tuple(claim.verdict for claim in judged)) for m, judged in claims.items()),
        )
        for name, claims in found.items()
    )


def claims_page(report: Report, judged: Sequence[Judgement], tables: Sequence[Table]) -> str:
    """`claims.md`, with those of the tables that cover the whole study."""
    beside = [table for table in tables if not table.backbone]
    return _environment().get_template("claims.md.j2").render(**_context(report, judged), beside=beside)


def html_page(
    report: Report, judged: Sequence[Judgement], tables: Sequence[Table], figures: Mapping[str, Sequence[Shown]]
) -> str:
    """`report.html`: one file that needs no other and no network.

    Args:
        report: the study.
        judged: from `judgements`.
        tables: of all backbones.
        figures: by backbone; the empty name holds the figures of the whole study.
    """
    context = _context(report, judged) | {"tables": tables, "figures": figures}
    return _environment().get_template("report.html.j2").render(**context)


def _context(report: Report, judged: Sequence[Judgement]) -> dict[str, Any]:
    perturbations = report.study.perturbations
    return {
        "report": report,
        "study": report.study,
        "judged": judged,
        "images": len(report.perturbations("image")),
        "texts": len(report.perturbations("text")),
        "severities": ", ".join(str(level) for level in sorted(set(perturbations.image.severities))),
        "chance": number(report.chance_level()),
        "floors": "; ".join(
            f"{len(report.floor_cells(name, 'image'))} of {report.cells('image')} image and "
            f"{len(report.floor_cells(name, 'text'))} of {report.cells('text')} text conditions on {name}"
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
    return environment


def _index(text: str) -> Markup:
    """Escaped text in which `CHAIR_i` has its index and backticks mark code."""
    indexed = re.sub(r"CHAIR_([is])\b", r"CHAIR<sub>\1</sub>", str(escape(text)))
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", indexed))
