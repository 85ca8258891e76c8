"""Each claim of the ATP paper beside what was measured, with the random control: the rows of `claims.md`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pruneproof.reporting import claims
from pruneproof.reporting.beyond_chance import ALL, MARGINS, YES_NO, no_baseline, not_better
from pruneproof.reporting.claims import Verdict
from pruneproof.reporting.estimates import Contrast, Estimate, interval, number, p_value
from pruneproof.reporting.headline import LANGUAGE_MODEL
from pruneproof.reporting.methods import Method
from pruneproof.reporting.report import Report

PAPER_FAMILIES = frozenset({"llava", "blip2", "flamingo"})
"""Backbone families that the paper names."""
POINTS = " pp"
NOT_MEASURED = "not measured"
NOT_APPLICABLE = "does not apply"
ITSELF = "is the claim itself"

Judged = tuple[str, Verdict]
"""What was measured, as text, and the verdict of the claim's rule."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One row."""

    key: str
    text: str
    """The paper's claim in our words."""
    rule: str
    measured: str
    verdict: Verdict
    control: str
    """What random pruning to as many tokens gives under the same rule."""
    selection: str
    """Whether the method beats the random control: without that no benefit is due to its selection."""


def judged_methods(report: Report, backbone: str) -> list[Method]:
    """The backbone's primary methods, and other entries of the same ones (budgets and variants); none without primary
    methods."""
    own, primary = report.methods_of(backbone), report.study.scoring.primary
    bases = {method.base for method in own if method.id in primary}
    return [method for method in own if method.id in primary or method.base in bases]


def paper_method(report: Report, backbone: str) -> Method | None:
    """Of a backbone's primary methods the one nearest to the paper's budget; None if it has none."""
    candidates = [method for method in report.methods_of(backbone) if method.id in report.study.scoring.primary]
    return min(candidates, key=lambda method: abs((method.keep or 1.0) - claims.PAPER_KEEP), default=None)


def is_built_in(report: Report, backbone: str) -> bool:
    """Whether a backbone is one of the small models that this project trains."""
    return Path(report.study.backbones[backbone].checkpoint).name.startswith("builtin")


def judge(report: Report, backbone: str, method: Method) -> list[Claim]:
    """All claims of the paper for one backbone and one method."""
    return _Judge(report, backbone, method, report.control(method, backbone)).all()


@dataclass(frozen=True, slots=True)
class _Judge:
    report: Report
    backbone: str
    method: Method
    control: Method | None

    @property
    def level(self) -> float:
        return round(1.0 - self.report.study.scoring.confidence, 6)

    @property
    def margin(self) -> float:
        return self.report.study.scoring.margin

    def all(self) -> list[Claim]:
        fewer = "interval below 0 (not supported: above 0)"
        above = "effective robustness (accuracy above what random pruning to the same clean accuracy keeps, over the "
        above += "conditions that the full model survives): interval above 0 (not supported: below 0), and for a "
        above += f"primary method Holm-corrected p below {self.level:g}"
        return [
            self.claim(
                "flops", "About 40% fewer FLOPs",
                f"FLOPs of all components at most {claims.FLOPS_AT_MOST} of the full model's", self.flops,
            ),
            self.claim(
                "latency", "About 1.5 times faster",
                f"quartiles of full over pruned latency above {claims.SPEEDUP_AT_LEAST} (not supported: below)",
                self.latency,
            ),
            self.claim(
                "accuracy", "Less than 1% of accuracy lost",
                f"clean accuracy minus the full model's: interval above -{self.margin:g} pp (not supported: below)",
                self.accuracy, self.selection("clean/accuracy/all", ALL, ALL, more_is_better=True),
            ),
            self.claim(
                "captions", "Captions no worse",
                f"CHAIR_i on clean images minus the full model's, from two separate intervals: below +{self.margin:g} "
                "pp (not supported: above)",
                self.captions, NOT_MEASURED,
            ),
            self.claim(
                "images", "More stable under visual corruption", above, lambda name: self.stability(name, "image"),
                ITSELF,
            ),
            self.claim(
                "text", "More stable under reworded questions", above, lambda name: self.stability(name, "text"),
                ITSELF,
            ),
            self.claim(
                "hallucination", "Fewer hallucinations",
                "absent objects affirmed on clean images at the full model's recall (the threshold between yes and no "
                f"is moved), minus the full model's: {fewer}",
                self.hallucination, self.selection("clean/hallucination/matched", YES_NO, MARGINS),
            ),
        ]  # fmt: skip

    def claim(
        self, key: str, text: str, rule: str, judged: Callable[[str], Judged], selection: str = NOT_APPLICABLE
    ) -> Claim:
        measured, verdict = judged(self.method.id)
        beside = "none"
        if self.control is not None:
            found, outcome = judged(self.control.id)
            beside = f"{self.control.label}: {outcome}, {found}"
        return Claim(key, text, rule, measured, verdict, beside, selection)

    def flops(self, name: str) -> Judged:
        parts = ((), LANGUAGE_MODEL)
        ratio, language = (self.report.flops_ratio(self.backbone, name, components) for components in parts)
        if math.isnan(ratio):
            return NOT_MEASURED, Verdict.INCONCLUSIVE
        text = f"{number(ratio, 2)} of the full model's (language model alone: {number(language, 2)})"
        return text, claims.fewer_flops(ratio)

    def latency(self, name: str) -> Judged:
        speedup = self.report.speedup(self.backbone, name)
        return _text(speedup, digits=2, unit="x"), claims.faster(speedup)

    def contrast(self, name: str, metric: str, family: str = "clean", baseline: str = "") -> Contrast:
        return self.report.contrast(self.backbone, name, metric, family, baseline=baseline)

    def accuracy(self, name: str) -> Judged:
        difference = self.contrast(name, "clean/accuracy/all")
        return self.beyond_chance(
            _text(difference, sign=True), claims.non_inferior(difference, self.margin), name, ALL, ALL
        )

    def captions(self, name: str) -> Judged:
        chair, full = (self.report.estimate(self.backbone, n, "chair/i") for n in (name, self.report.baseline))
        if not (chair.known and full.known):
            return NOT_MEASURED, Verdict.INCONCLUSIVE
        recall = self.report.estimate(self.backbone, name, "chair/recall").value
        text = (
            f"CHAIR_i {_text(claims.unpaired_difference(chair, full), sign=True)}, objects recalled {number(recall)}%"
        )
        if self.report.estimate(self.backbone, self.report.baseline, "chair/recall").value == 0.0:
            return f"{text}; the full model recalls none", Verdict.INCONCLUSIVE
        return text, claims.no_worse_captions(chair, full, self.margin)

    def stability(self, name: str, family: str) -> Judged:
        above = self.report.effective_robustness(self.backbone, name, family)
        if not above.known:
            return self.beyond_chance(NOT_MEASURED, Verdict.INCONCLUSIVE, name, ALL, ALL)
        holm = "" if math.isnan(above.p_holm) else f", Holm p {p_value(above.p_holm)}"
        kept = self.report.estimate(self.backbone, name, "robust/retention", family, "live")
        drop = self.report.contrast(self.backbone, name, "accuracy/all", family, "live")
        text = f"{_text(above, sign=True)}{holm}; retention {number(kept.value)}%"
        if drop.known:
            text += f", difference in drops {number(drop.value, sign=True)} pp"
        return self.beyond_chance(text, claims.more_robust(above, self.level), name, ALL, ALL)

    def hallucination(self, name: str) -> Judged:
        change = self.contrast(name, "clean/hallucination/matched")
        found = {
            what: [self.report.estimate(self.backbone, n, metric).value for n in (name, self.report.baseline)]
            for what, metric in (
                ("affirmed as answered", "hallucination/rate"),
                ("recall", "pope/recall_random"),
                ("yes ratio", "pope/yes_ratio_random"),
            )
        }
        beside = ", ".join(f"{what} {number(own)}% (full: {number(full)}%)" for what, (own, full) in found.items())
        text = f"{_text(change, sign=True)}; {beside}"
        return self.beyond_chance(text, claims.better(change, self.level), name, YES_NO, MARGINS)

    def beyond_chance(self, text: str, verdict: Verdict, name: str, full: str, own: str) -> Judged:
        """No verdict beside a full model that is at chance in `full`, and none in favour of a method that is at chance
        in `own`; the text then says so."""
        if reason := no_baseline(self.report, self.backbone, full):
            return f"{text}; {reason}", Verdict.INCONCLUSIVE
        if verdict is not Verdict.NOT_SUPPORTED and (reason := not_better(self.report, self.backbone, name, own)):
            return f"{text}; {reason}", Verdict.INCONCLUSIVE
        return text, verdict

    def selection(self, metric: str, full: str, own: str, more_is_better: bool = False) -> str:
        """Whether the method beats its random control in a contrast on clean input."""
        if self.control is None:
            return "no random control"
        versus = self.contrast(self.method.id, metric, baseline=self.control.id)
        if not versus.bounded:
            return NOT_MEASURED
        less = Contrast(-versus.value, -versus.high, -versus.low) if more_is_better else versus
        words = {
            Verdict.SUPPORTED: "yes",
            Verdict.NOT_SUPPORTED: "no, random is better",
            Verdict.INCONCLUSIVE: "undecided",
        }
        text, verdict = self.beyond_chance(
            _text(versus, sign=True), claims.better(less, self.level), self.method.id, full, own
        )
        return f"{words[verdict]}: {text}"


def generality(report: Report, judged: Mapping[str, Sequence[Claim]]) -> Claim:
    """The claim that a method works on LLaVA, BLIP-2 and Flamingo alike, from the other claims of every backbone."""
    family = {name: report.study.backbones[name].family for name in report.backbones if not is_built_in(report, name)}
    published = [name for name, own in family.items() if own in PAPER_FAMILIES]
    families = {family[name] for name in published}
    verdicts = {c.verdict for name in published for c in judged.get(name, ()) if c.key in ("flops", "accuracy")}
    verdict = Verdict.INCONCLUSIVE
    if Verdict.NOT_SUPPORTED in verdicts:
        verdict = Verdict.NOT_SUPPORTED
    elif families >= PAPER_FAMILIES and verdicts == {Verdict.SUPPORTED}:
        verdict = Verdict.SUPPORTED
    names = (
        f"`{name}`" + (" (small built-in model)" if is_built_in(report, name) else "") for name in report.backbones
    )
    rule = (
        "claims on FLOPs and accuracy supported on a published checkpoint of all three families (not supported: one of "
    )
    rule += "them not supported); built-in models and other families do not count"
    return Claim(
        "generality", "The same on LLaVA, BLIP-2 and Flamingo", rule, f"measured on {', '.join(names)}", verdict,
        NOT_APPLICABLE, NOT_APPLICABLE,
    )  # fmt: skip


def _text(estimate: Estimate, digits: int = 1, sign: bool = False, unit: str = POINTS) -> str:
    return interval(estimate, digits, sign, unit) if estimate.known else NOT_MEASURED
