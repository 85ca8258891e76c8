"""What each benchmark's own scorer gives: published numbers are of this kind."""

from __future__ import annotations

from collections.abc import Sequence

from pruneproof.reporting.estimates import interval
from pruneproof.reporting.report import Report
from pruneproof.reporting.table import Table, known

POPE = {"pope": "authors", "pope_lmms_eval": "lmms-eval", "pope_vlmevalkit": "VLMEvalKit"}
"""Who reads POPE's answers, by the scorer that does as they do."""
NAMES = {
    "vqa": "VQAv2",
    "gqa": "GQA",
    "coco_captions": "COCO captions",
    "amber": "AMBER",
}
"""Scorers with a table of their own, and what they are called."""
_WORDS = {"cider": "CIDEr-D", "rouge_l": "ROUGE-L", "f1": "F1", "yes_ratio": "yes"}


def harness_table(report: Report, backbone: str) -> Table:
    """POPE's F1 over its splits by every harness that reads it, clean and corrupted; empty for one reading alone."""
    metrics = set(report.summary["metric"])
    readers = {scorer: who for scorer, who in POPE.items() if f"{scorer}/f1_mean" in metrics}
    rows = _rows(report, backbone, [f"{scorer}/f1_mean" for scorer in readers])
    return Table(
        f"{backbone}_pope_harnesses", "POPE as three harnesses read it",
        "F1 in %, mean of the splits, from the same answers: published numbers differ because POPE's own script, "
        "lmms-eval and VLMEvalKit read an answer that is neither a plain yes nor a plain no differently.",
        ("Method", *readers.values(), *readers.values()), known(rows) if len(readers) > 1 else (),
        (("", 1), ("Clean", len(readers)), ("Corrupted", len(readers))),
    )  # fmt: skip


def consensus_table(report: Report, backbone: str) -> Table:
    """How often all of k wordings of a question are answered right; empty without human rephrasings."""
    scores = [f"robust/consensus_{k}" for k in range(1, 5)]
    rows = [
        (
            method.label,
            *(interval(report.estimate(backbone, method.id, score, "text", "paraphrase_human")) for score in scores),
        )
        for method in report.methods_of(backbone)
    ]
    return Table(
        f"{backbone}_consensus", "Consensus over human rephrasings",
        "CS(k) in %: the share of sets of k wordings of one question, its own among them, that are all answered right "
        "(Shah et al., 2019). A method may keep its accuracy and still answer other wordings otherwise.",
        ("Method", *(f"k = {k}" for k in range(1, 5))), known(rows),
    )  # fmt: skip


def scorer_tables(report: Report, backbone: str) -> list[Table]:
    """For each scorer of `NAMES` that the study has: its scores on clean input and over all image corruptions."""
    return [_table(report, backbone, scorer) for scorer in NAMES]


def _table(report: Report, backbone: str, scorer: str) -> Table:
    found = dict.fromkeys(str(name) for name in report.summary["metric"] if str(name).startswith(f"{scorer}/"))
    scores = [name.removeprefix(f"{scorer}/") for name in found]
    rows = _rows(report, backbone, list(found))
    return Table(
        f"{backbone}_{scorer}", f"{NAMES[scorer]} by its official scorer",
        f"What {NAMES[scorer]}'s own scorer gives, in % (lengths in words, CIDEr-D times 100), on clean input and over "
        "all image corruptions; `data/scores/official.csv` holds every figure that its script prints.",
        ("Method", *(_WORDS.get(score, score).replace("_", " ") for score in scores * 2)),
        known(rows) if scores else (), (("", 1), ("Clean", len(scores)), ("Corrupted", len(scores))),
    )  # fmt: skip


def _rows(report: Report, backbone: str, metrics: Sequence[str]) -> list[tuple[str, ...]]:
    """A row a method: the metrics on clean input, then over all image corruptions."""
    families = ("clean", "image")
    return [
        (method.label, *(interval(report.estimate(backbone, method.id, name, f)) for f in families for name in metrics))
        for method in report.methods_of(backbone)
    ]
