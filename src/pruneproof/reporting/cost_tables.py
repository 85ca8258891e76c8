"""What pruning saves, and where: FLOPs by component, backbones side by side, and the published sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pruneproof import files
from pruneproof.errors import PruneProofError
from pruneproof.reporting import claims
from pruneproof.reporting.estimates import Estimate, interval, number
from pruneproof.reporting.headline import LANGUAGE_MODEL
from pruneproof.reporting.methods import Method
from pruneproof.reporting.paper_claims import paper_method
from pruneproof.reporting.report import Report
from pruneproof.reporting.table import Table, known

COMPONENTS = {
    "vision_tower": "vision tower",
    "text_tower": "text tower",
    "scoring": "scoring",
    "connector": "connector",
    "prefill": "prefill",
    "decode": "decode",
}
"""Components of the FLOP count, as tables call them."""

MEGA = 1e6


def component_table(report: Report, backbone: str) -> Table:
    """FLOPs of one question, component by component."""
    rows = []
    for method in report.methods_of(backbone):
        parts = [report.total_flops(backbone, method.id, (name,)) for name in COMPONENTS]
        sums = (number(part / MEGA) for part in (*parts, report.total_flops(backbone, method.id)))
        rows.append((method.label, *sums, number(report.flops_ratio(backbone, method.id), 2)))
    return Table(
        f"{backbone}_components", "FLOPs by component",
        "Million FLOPs of one question on one image by torch's counter; decode is one further token. Where the "
        "connector gives the language model a fixed number of tokens (Q-Former, resampler), pruning makes the "
        "connector cheaper and nothing after it. The last column is the sum over the full model's.",
        ("Method", *COMPONENTS.values(), "sum", "ratio"), known(rows),
    )  # fmt: skip


def family_table(report: Report) -> Table:
    """All backbones that are run with a primary method side by side: the full model, the primary method nearest to the
    paper's budget, and random pruning to as many tokens."""
    rows: list[tuple[str, ...]] = []
    found = {name: method for name in report.backbones if (method := paper_method(report, name))}
    for backbone, method in found.items() if len(found) > 1 else ():
        full = next(one for one in report.methods_of(backbone) if one.id == report.baseline)
        shown = (full, method, report.control(method, backbone))
        rows += [_family_row(report, backbone, one) for one in shown if one is not None]
    return Table(
        "families", "Families side by side",
        "Accuracy over the study's claimed kinds and share of absent objects affirmed on clean images (%); FLOPs of "
        "one question over the full model's: in all, in the connector, in the language model; latency of the full "
        "model over the method's, with quartiles; megabytes of weights, which only int8 makes smaller.",
        ("Backbone, method", "clean", "corrupted", "reworded", "clean", "all", "connector", "language model", "x",
         "MB"),
        tuple(rows),
        (("", 1), ("Accuracy", 3), ("Hallucination", 1), ("FLOPs ratio", 3), ("Speed-up", 1), ("Weights", 1)),
    )  # fmt: skip


def _family_row(report: Report, backbone: str, method: Method) -> tuple[str, ...]:
    accuracy = (report.estimate(backbone, method.id, "accuracy/all", family) for family in ("clean", "image", "text"))
    ratios = (report.flops_ratio(backbone, method.id, parts) for parts in ((), ("connector",), LANGUAGE_MODEL))
    return (
        f"{backbone}, {method.label}",
        *(number(one.value) for one in accuracy),
        number(report.estimate(backbone, method.id, "hallucination/rate").value),
        *(number(ratio, 2) for ratio in ratios),
        interval(report.speedup(backbone, method.id), 2),
        number(report.weight_bytes(backbone) / MEGA),
    )


def published_table(report: Report) -> Table:
    """ATP's costs at the published shapes, from `performance/true_shapes.py`, by the claims' own rules."""
    folder = report.folders.study / report.study.study.root / "performance" / "results"
    rows = [row for path in sorted(folder.glob("true_shapes_*.json")) for row in _published_rows(path)]
    return Table(
        "published_shapes", "Costs at the published shapes",
        "Random weights, because costs depend on shapes alone; `python -m performance.true_shapes` measures full model "
        "and ATP in turns. FLOPs ATP over full, summed over the answer: supported if at most "
        f"{claims.FLOPS_AT_MOST}. Time full over ATP, median and range over rounds: supported if the range lies above "
        f"{claims.SPEEDUP_AT_LEAST}, not supported if below.",
        ("Model", "Batch", "Answer", "ATP/full", "about 40% fewer", "full/ATP", "1.5 times faster"), tuple(rows),
        (("", 1), ("", 1), ("", 1), ("FLOPs", 2), ("Time", 2)),
    )  # fmt: skip


def _published_rows(path: Path) -> Iterator[tuple[str, ...]]:
    result = files.read_json(path)
    try:
        if result["scale"] == "published":
            for family in result["families"].values():
                yield from _measured_rows(family, f"{result['device']}, {result['dtype']}, {result['keep']:.0%} kept")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PruneProofError(
            f"{path} is not a result of performance/true_shapes.py ({error!r}): delete it, or measure again"
        ) from None


def _measured_rows(family: Mapping[str, Any], where: str) -> Iterator[tuple[str, ...]]:
    built, published = family["language_layers"], family["published_language_layers"]
    layers = "" if built == published else f", time with {built} of {published} layers"
    for one in family["ratios"]:
        flops = float(family["flops_atp_over_full"][str(one["answer_length"])])
        time = Estimate(one["full_over_atp"], one["low"], one["high"])
        yield (
            f"{family['title']} ({where}{layers})", str(one["batch"]), str(one["answer_length"]),
            number(flops, 2), claims.fewer_flops(flops).value, interval(time, 2), claims.faster(time).value,
        )  # fmt: skip
