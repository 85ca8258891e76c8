from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from pruneproof.reporting import paper_claims
from pruneproof.reporting.claims import Verdict
from pruneproof.reporting.estimates import Contrast, Estimate
from pruneproof.reporting.paper_claims import Claim
from pruneproof.reporting.report import Report


def claim(report: Report, key: str) -> Claim:
    method = paper_claims.paper_method(report, "builtin_llava")
    assert method is not None
    return next(c for c in paper_claims.judge(report, "builtin_llava", method) if c.key == key)


def with_contrast(report: Report, baseline: str, metric: str, family: str, low: float, high: float) -> Report:
    table = report.contrasts.copy()
    where = (
        (table["method"] == "atp_60") & (table["baseline"] == baseline) & (table["metric"] == metric)
        & (table["family"] == family) & (table["perturbation"].isin(["live", "clean"]))
        & (table["severity"].isin(["mean", "0"]))
    )  # fmt: skip
    assert where.sum() == 1
    table.loc[where, ["value", "low", "high"]] = [(low + high) / 2, low, high]
    table.loc[where, "p_holm"] = 0.001
    return dataclasses.replace(report, contrasts=table)


def test_judged_at_the_papers_budget(report: Report) -> None:
    method = paper_claims.paper_method(report, "builtin_llava")
    assert method is not None
    assert method.id == "atp_60"


def test_every_claim_has_a_rule_and_a_control(report: Report) -> None:
    method = paper_claims.paper_method(report, "builtin_llava")
    assert method is not None
    found = paper_claims.judge(report, "builtin_llava", method)
    assert [c.key for c in found] == ["flops", "latency", "accuracy", "captions", "images", "text", "hallucination"]
    assert all(c.rule and c.measured and c.control.startswith("Random 60%: ") for c in found)


def test_flops_are_told_for_all_and_for_the_language_model(report: Report) -> None:
    # Made-up counts: 1.6 + 0.04 + 0.001 + 0.06 + 1.64 + 0.03 = 3.371 of 4.33; language model 1.67 of 2.63.
    found = claim(report, "flops")
    assert found.measured == "0.78 of the full model's (language model alone: 0.63)"
    assert found.verdict is Verdict.NOT_SUPPORTED


def with_effective(report: Report, family: str, low: float, high: float) -> Report:
    table = report.effective.copy()
    where = (table["method"] == "atp_60") & (table["family"] == family) & (table["severity"] == "mean")
    assert where.sum() == 1
    table.loc[where, ["value", "low", "high", "p_holm"]] = [(low + high) / 2, low, high, 0.001]
    return dataclasses.replace(report, effective=table)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.5, 2.0, Verdict.SUPPORTED), (-2.0, -0.5, Verdict.NOT_SUPPORTED), (-1.0, 1.0, Verdict.INCONCLUSIVE)],
)
@pytest.mark.parametrize(("key", "family"), [("images", "image"), ("text", "text")])
def test_stability(report: Report, key: str, family: str, low: float, high: float, verdict: Verdict) -> None:
    found = claim(with_effective(report, family, low, high), key)
    assert found.verdict is verdict
    assert "retention" in found.measured


def test_a_smaller_drop_alone_supports_nothing(report: Report) -> None:
    """A model that sees nothing loses nothing."""
    less = with_contrast(report, "full", "accuracy/all", "image", -9.0, -6.0)
    assert claim(with_effective(less, "image", -1.0, 1.0), "images").verdict is Verdict.INCONCLUSIVE


def test_hallucinations_are_judged_at_matched_recall(report: Report) -> None:
    fewer = with_contrast(report, "full", "clean/hallucination/rate", "clean", -9.0, -6.0)
    more = with_contrast(fewer, "full", "clean/hallucination/matched", "clean", 1.0, 3.0)
    found = claim(more, "hallucination")
    assert found.verdict is Verdict.NOT_SUPPORTED
    for beside in ("affirmed as answered", "recall", "yes ratio"):
        assert beside in found.measured


@pytest.mark.parametrize(
    ("low", "high", "word"), [(-2.0, -0.5, "yes"), (0.5, 2.0, "no, random is better"), (-1.0, 1.0, "undecided")]
)
def test_a_benefit_is_due_to_the_selection_only_if_random_is_beaten(
    report: Report, low: float, high: float, word: str
) -> None:
    changed = with_contrast(report, "random_60", "clean/hallucination/matched", "clean", low, high)
    found = claim(changed, "hallucination")
    assert found.selection.startswith(f"{word}: ")


def test_more_accuracy_than_random_is_better(report: Report) -> None:
    found = claim(with_contrast(report, "random_60", "clean/accuracy/all", "clean", 1.0, 3.0), "accuracy")
    assert found.selection.startswith("yes: +2.0 pp")


def test_without_contrasts_against_random_nothing_is_due(report: Report) -> None:
    table = report.contrasts[report.contrasts["baseline"] == "full"]
    assert claim(dataclasses.replace(report, contrasts=table), "accuracy").selection == "no random control"


def test_without_a_random_control_that_is_said(synthetic: Any, tmp_path: Any) -> None:
    from pruneproof.reporting.report import load

    grid = synthetic.Grid(
        corruptions=("fog",), rewordings=(), methods={k: synthetic.METHODS[k] for k in ("full", "atp_60")}, images=2
    )
    found = claim(load(*synthetic.write(tmp_path, grid)), "accuracy")
    assert (found.control, found.selection) == ("none", "no random control")


def verdicts(**outcomes: Verdict) -> list[Claim]:
    return [Claim(key, "", "", "", verdict, "", "") for key, verdict in outcomes.items()]


def published(report: Report, *families: str) -> Report:
    """The same study with published checkpoints of these families beside the built-in model."""
    first = next(iter(report.study.backbones.values()))
    backbones = {"builtin_llava": first} | {
        name: first.model_copy(update={"family": name, "checkpoint": f"some/{name}"}) for name in families
    }
    found = dataclasses.replace(report, study=report.study.model_copy(update={"backbones": backbones}))
    found.__dict__["backbones"] = tuple(backbones)
    return found


def test_a_built_in_model_alone_says_nothing_about_published_ones(report: Report) -> None:
    judged = {"builtin_llava": verdicts(flops=Verdict.NOT_SUPPORTED, accuracy=Verdict.SUPPORTED)}
    found = paper_claims.generality(report, judged)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "small built-in model" in found.measured


def test_generality_needs_all_three_families(report: Report) -> None:
    good = verdicts(flops=Verdict.SUPPORTED, accuracy=Verdict.SUPPORTED)
    bad = verdicts(flops=Verdict.SUPPORTED, accuracy=Verdict.NOT_SUPPORTED)
    three = ("llava", "blip2", "flamingo")
    assert paper_claims.generality(published(report, *three), dict.fromkeys(three, good)).verdict is Verdict.SUPPORTED
    two = published(report, *three[:2])
    assert paper_claims.generality(two, dict.fromkeys(three[:2], good)).verdict is Verdict.INCONCLUSIVE
    assert paper_claims.generality(two, {"llava": good, "blip2": bad}).verdict is Verdict.NOT_SUPPORTED


def test_other_families_than_the_papers_say_nothing_about_generality(report: Report) -> None:
    bad = verdicts(flops=Verdict.NOT_SUPPORTED, accuracy=Verdict.NOT_SUPPORTED)
    other = published(report, "qwen2_5_vl")
    assert paper_claims.generality(other, {"qwen2_5_vl": bad}).verdict is Verdict.INCONCLUSIVE


def test_nothing_is_supported_by_a_model_that_knows_nothing(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the full model is at chance, or recalls no object, a method cannot lose what is not there."""
    backbone = report.backbones[0]
    method = paper_claims.paper_method(report, backbone)
    assert method is not None
    sure = Contrast(0.0, 0.0, 0.0)
    monkeypatch.setattr(type(report), "contrast", lambda *_, **__: sure)
    judged = {claim.key: claim for claim in paper_claims.judge(report, backbone, method)}
    assert judged["accuracy"].verdict is Verdict.SUPPORTED
    monkeypatch.setattr(type(report), "chance_level", lambda *_: 100.0)
    judged = {claim.key: claim for claim in paper_claims.judge(report, backbone, method)}
    assert judged["accuracy"].verdict is Verdict.INCONCLUSIVE
    assert "no better than chance" in judged["accuracy"].measured
    monkeypatch.setattr(type(report), "estimate", lambda *_, **__: Estimate(0.0, 0.0, 0.0))
    judged = {claim.key: claim for claim in paper_claims.judge(report, backbone, method)}
    assert judged["captions"].verdict is Verdict.INCONCLUSIVE
    assert "recalls none" in judged["captions"].measured


def test_claims_are_judged_of_every_primary_method_whatever_it_is_called(synthetic: Any, tmp_path: Any) -> None:
    from pruneproof.reporting import documents
    from pruneproof.reporting.report import load

    names = ("full", "random_25", "fastv_25", "tome_60", "tome_25")
    grid = synthetic.Grid(
        corruptions=("fog",), rewordings=(), dialogues=(), methods={k: synthetic.MANY[k] for k in names}, images=2
    )
    report = load(*synthetic.write(tmp_path, grid))
    scoring = report.study.scoring.model_copy(update={"primary": ("fastv_25", "tome_60")})
    report = dataclasses.replace(report, study=report.study.model_copy(update={"scoring": scoring}))
    (judged,) = documents.judgements(report)
    assert [label for label, _ in judged.methods] == ["ToMe 60%", "FastV 25%"]
    assert {label for label, _ in judged.budgets} == {"ToMe 60%", "ToMe 25%", "FastV 25%"}
