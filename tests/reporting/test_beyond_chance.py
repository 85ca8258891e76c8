"""Nothing is judged beside a full model that is not shown to be better than chance, nor in favour of such a method."""

from __future__ import annotations

import dataclasses

import pytest

from pruneproof.reporting import paper_claims
from pruneproof.reporting.beyond_chance import ALL, MARGINS, YES_NO, mean_at_chance, no_baseline, shortfall
from pruneproof.reporting.claims import Verdict
from pruneproof.reporting.diagnosis import parts, sentence
from pruneproof.reporting.finding import finding
from pruneproof.reporting.report import Report
from pruneproof.reporting.rival_answers import answers

B = "builtin_llava"
WORSE = "the full model is no better than chance"


def scoring(report: Report, metric: str, value: float, *methods: str, half: float = 1.0, family: str = "") -> Report:
    """The same study in which these methods score this, with an interval of this half-width."""
    table = report.summary.copy()
    where = (table["metric"] == metric) & table["method"].isin(methods)
    if family:
        where &= table["family"] == family
    assert where.any()
    table.loc[where, ["value", "low", "high"]] = [value, value - half, value + half]
    return dataclasses.replace(report, summary=table)


def praising(report: Report) -> Report:
    """The same study in which every number speaks for every method."""
    contrasts, effective = report.contrasts.copy(), report.effective.copy()
    matched = contrasts["metric"].isin(["clean/hallucination/matched", "hallucination/matched"])
    contrasts.loc[matched, ["value", "low", "high"]] = [-5.9, -39.0, -4.5]
    better = contrasts["metric"] == "clean/accuracy/all"
    contrasts.loc[better, ["value", "low", "high"]] = [3.0, 2.0, 4.0]
    contrasts["p_holm"] = float("nan")
    effective.loc[effective["value"].notna(), ["value", "low", "high", "p_holm"]] = [2.0, 1.0, 3.0, 0.001]
    return dataclasses.replace(report, contrasts=contrasts, effective=effective)


def verdicts(report: Report) -> dict[str, paper_claims.Claim]:
    method = paper_claims.paper_method(report, B)
    assert method is not None
    return {claim.key: claim for claim in paper_claims.judge(report, B, method)}


def test_the_rule_is_that_of_the_whole_interval(report: Report) -> None:
    # Chance is 55% over all kinds, 66% on yes-or-no questions, and half the area for margins.
    assert shortfall(scoring(report, ALL, 56.1, "full"), B, "full", ALL) == ""
    near = shortfall(scoring(report, ALL, 55.9, "full"), B, "full", ALL)
    assert near == "is not shown to be better than chance (55.9% right, chance 55.0%)"
    constant = shortfall(scoring(report, YES_NO, 66.0, "full", half=0.0), B, "full", YES_NO)
    assert constant == "is no better than chance on yes-or-no questions (66.0% right, chance 66.0%)"
    assert shortfall(scoring(report, MARGINS, 50.5, "atp_60"), B, "atp_60", MARGINS).startswith("is not shown to be")
    assert shortfall(scoring(report, ALL, 55.5, "full", half=float("nan")), B, "full", ALL) == ""


def test_what_is_judged_under_corruption_needs_a_full_model_above_chance_there_and_on_clean_pictures(
    report: Report,
) -> None:
    under = scoring(report, YES_NO, 40.0, "full", family="image")
    assert no_baseline(under, B, YES_NO) == ""
    assert no_baseline(under, B, YES_NO, "image").startswith(f"{WORSE} on yes-or-no questions under corruption")
    assert no_baseline(scoring(report, YES_NO, 40.0, "full", family="clean"), B, YES_NO, "image")


def test_a_full_model_worse_than_chance_gets_no_verdict_that_rests_on_its_answers(report: Report) -> None:
    praised = praising(report)
    before = {key: claim.verdict for key, claim in verdicts(praised).items()}
    judged = ("accuracy", "images", "text", "hallucination")
    assert {before[key] for key in judged} == {Verdict.SUPPORTED}
    poor = scoring(scoring(praised, ALL, 21.0, "full"), YES_NO, 45.0, "full")
    after = verdicts(poor)
    assert {after[key].verdict for key in judged} == {Verdict.INCONCLUSIVE}
    for key in judged:
        assert WORSE in after[key].measured
        assert f"Random 60%: {Verdict.SUPPORTED}" not in after[key].control
    for key in ("accuracy", "hallucination"):
        assert after[key].selection.startswith("undecided: ")
        assert WORSE in after[key].selection
    assert finding(poor, B) == (
        f"On `{B}`, robustness to corrupted pictures is not judged, because {WORSE} (21.0% right, chance 55.0%); "
        f"invented objects are not judged, because {WORSE} on yes-or-no questions (45.0% right, chance 66.0%)."
    )


def test_invented_objects_need_a_full_model_that_does_not_affirm_everything(report: Report) -> None:
    """Right about other kinds, but the same answer to every yes-or-no question."""
    constant = scoring(praising(report), YES_NO, 34.0, "full", half=0.0)
    judged = verdicts(constant)
    assert judged["images"].verdict is Verdict.SUPPORTED
    assert judged["hallucination"].verdict is Verdict.INCONCLUSIVE
    assert "fewer" not in finding(constant, B)
    assert "more robust" in finding(constant, B)


@pytest.mark.parametrize(
    ("metric", "value", "keys", "praise"),
    [
        (ALL, 54.0, ("accuracy", "images", "text"), "called more robust"),
        (MARGINS, 49.0, ("hallucination",), "said to invent fewer"),
    ],
)
def test_a_method_at_chance_is_not_called_better(
    report: Report, metric: str, value: float, keys: tuple[str, ...], praise: str
) -> None:
    poor = scoring(praising(report), metric, value, "atp_60")
    judged = verdicts(poor)
    for key in keys:
        assert judged[key].verdict is Verdict.INCONCLUSIVE
        assert "the method is no better than chance" in judged[key].measured
    (told,) = (part for part in finding(poor, B).split("; ") if "ATP 60% is no better than chance" in part)
    assert told.removesuffix(".").endswith(f"and is not {praise}")


def test_a_method_at_chance_may_be_worse(report: Report) -> None:
    table = report.effective.copy()
    table.loc[table["value"].notna(), ["value", "low", "high", "p_holm"]] = [-2.0, -3.0, -1.0, 0.001]
    poor = scoring(dataclasses.replace(report, effective=table), ALL, 54.0, "atp_60")
    assert verdicts(poor)["images"].verdict is Verdict.NOT_SUPPORTED
    assert "ATP 60% is no better" not in finding(poor, B)


def test_rivals_are_not_compared_beside_a_full_model_at_chance(competing: Report) -> None:
    assert len(answers(competing, B)) > 1
    (only,) = answers(scoring(competing, ALL, 21.0, "full"), B)
    assert only.sentences == (f"That is not judged, because {WORSE} (21.0% right, chance 55.0%).",)


def test_kinds_at_chance_are_not_called_better(competing: Report) -> None:
    kinds = competing.kinds.copy()
    kinds[["value", "low", "high", "p_holm"]] = [4.0, 3.0, 5.0, 0.001]
    praised = dataclasses.replace(competing, kinds=kinds)
    (beats,) = (one for one in answers(praised, B) if one.question.startswith("Which kind beats random"))
    assert "better than random: " in beats.sentences[0]
    everyone = tuple(method.id for method in competing.methods if method.id != "full")
    poor = scoring(scoring(praised, ALL, 54.0, *everyone), MARGINS, 49.0, *everyone)
    said = {one.question.split(" ")[2]: one.sentences for one in answers(poor, B)}
    assert all("not judged, because no better than chance: " in sentence for sentence in said["beats"])
    assert "better than random: " not in said["beats"][0]
    assert any("there is none to pick" in text for one in answers(poor, B) for text in one.sentences)
    assert mean_at_chance(poor, B, {"attention": everyone}, MARGINS) == {"attention"}


def test_no_kind_is_judged_by_objects_that_a_blind_full_model_invents(competing: Report) -> None:
    blind = scoring(competing, YES_NO, 34.0, "full")
    (invents,) = (one for one in answers(blind, B) if "invents objects" in one.question)
    assert all("no kind is judged, because the full model is no better" in text for text in invents.sentences)


def test_a_ranking_is_not_read_from_a_method_at_chance(swept: Report) -> None:
    found = parts(scoring(swept, ALL, 54.0, "atp_60"), B)
    assert {one.method.id: one.at_chance for one in found} == {"atp_60": True, "atp_25": False}
    assert found[0].reading == "not judged: at chance"
    assert sentence(found).endswith("1 method at chance is not judged.")
