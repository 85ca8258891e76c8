"""The whole stage against a slow second reading of the brief, one answer after the other."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.scoring.conftest import widen

from pruneproof.errors import PruneProofError
from pruneproof.files import read_rows, read_table, write_rows, write_table
from pruneproof.folders import Folders
from pruneproof.records import PATCHES
from pruneproof.scoring.reading import read_logits
from pruneproof.scoring.stage import run
from pruneproof.scoring.tables import PER_ANSWER
from pruneproof.settings import Study

Row = dict[str, Any]
IMAGE = [("gaussian_noise", 1), ("gaussian_noise", 3)]


def csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def summary(folders: Folders) -> dict[tuple[str, str, str, str, str], dict[str, str]]:
    rows = csv_rows(folders.scores / "summary.csv")
    keys = [(r["method"], r["family"], r["perturbation"], r["severity"], r["metric"]) for r in rows]
    assert len(set(keys)) == len(keys)
    return dict(zip(keys, rows, strict=True))


def answers(folders: Folders, method: str, name: str, severity: int) -> dict[str, Row]:
    """Rows of one condition by sample, with the question."""
    question = {r["sample_id"]: r["question"] for r in read_rows(folders.benchmark / "samples.parquet")}
    rows = read_rows(folders.scores / "per_answer.parquet")
    chosen = [r for r in rows if (r["method"], r["perturbation"], r["severity"]) == (method, name, severity)]
    return {r["sample_id"]: r | {"question": question[r["sample_id"]]} for r in chosen}


def questions(
    rows: dict[str, Row], column: str, kinds: str = "existence colour count relation compositional"
) -> dict[Any, float]:
    """The column by different question; repeated POPE rows are averaged."""
    units = defaultdict(list)
    for row in rows.values():
        if row["kind"] in kinds.split() and row[column] is not None:
            pope = row["kind"] == "existence"
            units[(row["image_id"], row["question"]) if pope else row["sample_id"]].append(float(row[column]))
    return {key: mean(values) for key, values in units.items()}


def test_per_answer_has_every_answer_and_the_agreed_columns(scored: Folders) -> None:
    table = read_table(scored.scores / "per_answer.parquet")
    assert table.schema.equals(PER_ANSWER)
    for method in ("full", "thin", "thinner"):
        given = read_rows(scored.answers_of("tiny", method))
        found = [row for row in table.to_pylist() if row["method"] == method]
        key = ("family", "perturbation", "severity", "sample_id", "text", "visual_tokens")
        assert sorted(tuple(r[k] for k in key) for r in given) == sorted(tuple(r[k] for k in key) for r in found)


def test_per_answer_values_by_hand(scored: Folders) -> None:
    truth = {r["sample_id"]: r for r in read_rows(scored.benchmark / "samples.parquet")}
    clean = answers(scored, "thin", "clean", 0)
    kept = {
        (r["perturbation"], r["severity"], r["sample_id"]): set(r["kept"])
        for r in read_rows(scored.answers_of("tiny", "thin"))
    }
    target = {0: {0, 4}, 1: {1, 5}}
    for name, severity in [("clean", 0), *IMAGE, ("typo_swap", 1)]:
        for sample, row in answers(scored, "thin", name, severity).items():
            question = truth[sample]
            if row["kind"] != "caption":
                right = {"yes": ("Yes", "Yes it is"), "no": ("no.", "No"), "3": ("There are three.",)}
                right |= {"left": ("on the left", "left")}
                assert row["correct"] == (row["text"] in right.get(question["answer"], (question["answer"],)))
                assert row["parseable"] == (row["text"] != "blue or red")
            absent = row["kind"] == "existence" and question["answer"] == "no"
            assert row["affirmed_absent"] == (row["prediction"] == "yes" if absent else None)
            chosen = kept[name, severity, sample]
            objects = question["target_objects"]
            expected = len(chosen & target[objects[0]]) / 2 if objects else None
            assert row["target_kept"] == expected
            if name == "clean":
                assert row["flipped"] is None
                assert row["overlap_clean"] is None
            else:
                before = kept["clean", 0, sample]
                assert row["overlap_clean"] == pytest.approx(len(chosen & before) / len(chosen | before))
                assert row["flipped"] == (row["prediction"] != clean[sample]["prediction"])


def test_pictures_of_the_models_size_have_targets_of_their_own(study: Study, folders: Folders) -> None:
    """64 x 32 pictures in stretched patches of 16 x 8, corrupted at half the size in patches of 8 x 8, two rows."""
    widen(folders)
    path = folders.patches / "tiny.parquet"
    wide = [edge for y in range(0, 32, 8) for x in range(0, 64, 16) for edge in (x, y, x + 16, y + 8)]
    half = [edge for y in range(0, 16, 8) for x in range(0, 32, 8) for edge in (x, y, x + 8, y + 8)]
    more = [{"width": 64, "height": 32, "boxes": wide}, {"width": 32, "height": 16, "boxes": half}]
    write_rows(path, [*read_rows(path), *more], PATCHES)
    image = study.perturbations.image.model_copy(update={"resolution": "model", "model_pixels": 16})
    changed = study.model_copy(update={"perturbations": study.perturbations.model_copy(update={"image": image})})
    run(changed, folders)

    truth = {r["sample_id"]: r for r in read_rows(folders.benchmark / "samples.parquet")}
    kept = {
        (r["perturbation"], r["severity"], r["sample_id"]): set(r["kept"])
        for r in read_rows(folders.answers_of("tiny", "thin"))
    }
    shown = {"dog": {0, 4}, "car": {1, 5}}
    smaller = {"dog": {0}, "car": {1}}
    for name, severity in [("clean", 0), *IMAGE, ("typo_swap", 1)]:
        targets = smaller if (name, severity) in IMAGE else shown
        for sample, row in answers(folders, "thin", name, severity).items():
            target = targets[truth[sample]["target"]] if truth[sample]["target_objects"] else set()
            expected = len(kept[name, severity, sample] & target) / len(target) if target else None
            assert row["target_kept"] == expected


@pytest.mark.parametrize("method", ["full", "thin", "thinner"])
@pytest.mark.parametrize(
    ("family", "name", "severity"), [("clean", "clean", 0), ("image", *IMAGE[1]), ("text", "typo_swap", 1)]
)
def test_summary_of_a_condition(scored: Folders, method: str, family: str, name: str, severity: int) -> None:
    rows = answers(scored, method, name, severity)
    found = summary(scored)

    def value(metric: str) -> float:
        return float(found[method, family, name, str(severity), metric]["value"] or "nan")

    correct = questions(rows, "correct")
    assert value("accuracy/all") == pytest.approx(100 * mean(correct.values()))
    assert int(found[method, family, name, str(severity), "accuracy/all"]["n"]) == len(correct)
    for kind in ("existence", "colour", "count", "relation", "compositional"):
        assert value(f"accuracy/{kind}") == pytest.approx(100 * mean(questions(rows, "correct", kind).values()))
    vertical = [r["correct"] for r in rows.values() if r["detail"] == "vertical"]
    assert value("accuracy/relation/vertical") == pytest.approx(100 * mean(vertical))
    assert value("hallucination/rate") == pytest.approx(100 * mean(questions(rows, "affirmed_absent").values()))
    parsed = questions(rows, "parseable", "existence")
    assert value("hallucination/unparseable") == pytest.approx(100 - 100 * mean(parsed.values()))
    assert value("tokens/visual") == {"full": 16, "thin": 8, "thinner": 4}[method]
    assert value("tokens/layer_mean") == value("tokens/input") == value("tokens/visual")
    assert value("tokens/sequence") == value("tokens/visual") + 9
    assert value("tokens/deviation") == 0
    assert value("tokens/target_kept") == pytest.approx(100 * mean(questions(rows, "target_kept").values()))
    f1 = []
    for split in ("random", "popular", "adversarial"):
        chosen = [r for r in rows.values() if r["split"] == split]
        truth = {r["sample_id"]: r["affirmed_absent"] is None for r in chosen}
        tp = sum(r["prediction"] == "yes" and truth[r["sample_id"]] for r in chosen)
        said = sum(r["prediction"] == "yes" for r in chosen)
        precision, recall = tp / said, tp / sum(truth.values())
        f1.append(2 * precision * recall / (precision + recall))
        assert value(f"pope/accuracy_{split}") == pytest.approx(100 * mean(r["correct"] for r in chosen))
        assert value(f"pope/precision_{split}") == pytest.approx(100 * precision)
        assert value(f"pope/recall_{split}") == pytest.approx(100 * recall)
        assert value(f"pope/f1_{split}") == pytest.approx(100 * f1[-1])
        assert value(f"pope/yes_ratio_{split}") == pytest.approx(100 * said / len(chosen))
    assert value("pope/f1_mean") == pytest.approx(100 * mean(f1))
    if family != "clean":
        assert value("robust/flip_rate") == pytest.approx(100 * mean(questions(rows, "flipped").values()))
        assert value("tokens/overlap_clean") == pytest.approx(100 * mean(questions(rows, "overlap_clean").values()))


def drop(folders: Folders, method: str, name: str, severity: int, kinds: str) -> dict[Any, float]:
    clean = questions(answers(folders, method, "clean", 0), "correct", kinds)
    perturbed = questions(answers(folders, method, name, severity), "correct", kinds)
    return {key: clean[key] - perturbed[key] for key in clean.keys() & perturbed.keys()}


ALL = "existence colour count relation compositional"


@pytest.mark.parametrize(("family", "name", "severity"), [("image", *IMAGE[0]), ("text", "typo_swap", 1)])
def test_drops_and_contrasts_are_paired(scored: Folders, family: str, name: str, severity: int) -> None:
    found = summary(scored)
    contrasts = {
        (r["method"], r["perturbation"], r["severity"], r["metric"]): r
        for r in csv_rows(scored.scores / "contrasts.csv")
    }
    for kinds, suffix in ((ALL, "all"), ("existence", "existence")):
        own = drop(scored, "thin", name, severity, kinds)
        full = drop(scored, "full", name, severity, kinds)
        row = found["thin", family, name, str(severity), f"robust/drop_{suffix}"]
        assert float(row["value"]) == pytest.approx(100 * mean(own.values()))
        contrast = contrasts["thin", name, str(severity), f"accuracy/{suffix}"]
        expected = 100 * mean(own[key] - full[key] for key in own.keys() & full.keys())
        assert float(contrast["value"]) == pytest.approx(expected, abs=1e-6)


def test_hallucination_contrast_is_the_rise_of_the_method_minus_that_of_the_baseline(scored: Folders) -> None:
    def rate(method: str, name: str, severity: int) -> float:
        return 100 * mean(questions(answers(scored, method, name, severity), "affirmed_absent").values())

    name, severity = IMAGE[1]
    rows = {
        (r["method"], r["perturbation"], r["severity"], r["metric"]): r
        for r in csv_rows(scored.scores / "contrasts.csv")
    }
    clean = rate("thinner", "clean", 0) - rate("full", "clean", 0)
    perturbed = rate("thinner", name, severity) - rate("full", name, severity)
    assert float(rows["thinner", "clean", "0", "clean/hallucination/rate"]["value"]) == pytest.approx(clean)
    found = float(rows["thinner", name, str(severity), "hallucination/rate"]["value"])
    assert found == pytest.approx(perturbed - clean, abs=1e-5)


def test_clean_rows_hold_no_comparison_with_themselves(scored: Folders) -> None:
    clean = {metric for _, family, _, _, metric in summary(scored) if family == "clean"}
    assert not {metric for metric in clean if metric.startswith(("robust/", "tokens/overlap"))}
    contrasts = {
        (r["family"] == "clean", r["metric"].startswith("clean/")) for r in csv_rows(scored.scores / "contrasts.csv")
    }
    assert contrasts == {(True, True), (False, False)}


def test_corruption_error(scored: Folders) -> None:
    found = summary(scored)
    errors = {
        method: [100 - float(found[method, "image", name, str(s), "accuracy/all"]["value"]) for name, s in IMAGE]
        for method in ("full", "thin")
    }
    expected = 100 * sum(errors["thin"]) / sum(errors["full"])
    for name in ("gaussian_noise", "mean"):
        row = found["thin", "image", name, "mean", "robust/corruption_error"]
        assert float(row["value"]) == pytest.approx(expected)
        assert float(found["full", "image", name, "mean", "robust/corruption_error"]["value"]) == 100
    assert ("thin", "clean", "clean", "0", "robust/corruption_error") not in found


def test_chance_is_what_a_model_scores_that_sees_nothing(scored: Folders) -> None:
    found = {row["metric"]: (row["answer"], float(row["value"])) for row in csv_rows(scored.scores / "chance.csv")}
    assert found == {
        "accuracy/all": ("", 56.25),  # (2 + 1 + 0.5 + 2 / 4 + 0.5) of 8
        "accuracy/existence": ("no", pytest.approx(100 * 2 / 3, abs=1e-5)),
        "accuracy/colour": ("blue", 50),
        "accuracy/count": ("3", 100),
        "accuracy/relation": ("above", 25),
        "accuracy/compositional": ("no", 50),
        "pope/accuracy_random": ("no", 50),
        "pope/accuracy_popular": ("no", 50),
        "pope/accuracy_adversarial": ("no", 50),
    }


def test_retention_and_which_conditions_are_live(scored: Folders) -> None:
    """Accuracy above chance over that on clean input; below 20% of the full model's, a condition is left out."""
    found = summary(scored)
    kept = {}
    for name, severity in IMAGE:
        accuracy, clean = (
            float(found["full", family, place, level, "accuracy/all"]["value"])
            for family, place, level in (("image", name, str(severity)), ("clean", "clean", "0"))
        )
        row = found["full", "image", name, str(severity), "robust/retention"]
        kept[severity] = (accuracy - 56.25) / (clean - 56.25)
        assert float(row["value"]) == pytest.approx(100 * kept[severity], abs=1e-4)
    assert kept[3] < 0.2 < kept[1]
    for method in ("full", "thin"):
        for metric in ("accuracy/all", "robust/drop_all"):
            live = found[method, "image", "live", "mean", metric]
            assert live["value"] == found[method, "image", "gaussian_noise", "1", metric]["value"]


def test_effective_robustness_by_hand(scored: Folders) -> None:
    """Over the one live condition: accuracy above the line through the points on either side of the clean accuracy."""
    found = summary(scored)
    points = {"chance": (56.25, 56.25)}
    for method in ("full", "thin", "thinner"):
        points[method] = tuple(
            float(found[method, family, place, level, "accuracy/all"]["value"])
            for family, place, level in (("clean", "clean", "0"), ("image", "live", "mean"))
        )
    rows = {(r["method"], r["family"], r["severity"]): r for r in csv_rows(scored.scores / "effective.csv")}
    row = rows["thin", "image", "mean"]
    assert (float(row["clean"]), float(row["perturbed"])) == pytest.approx(points["thin"], abs=1e-5)
    xs, ys = zip(*sorted(points[name] for name in ("chance", "thinner", "full")), strict=True)
    assert list(ys) == sorted(ys)  # else the curve would not pass through them
    assert float(row["predicted"]) == pytest.approx(np.interp(points["thin"][0], xs, ys), abs=1e-5)
    assert float(row["value"]) == pytest.approx(float(row["perturbed"]) - float(row["predicted"]), abs=1e-5)
    assert float(row["low"]) < float(row["value"]) < float(row["high"])
    assert rows["full", "image", "mean"]["value"] == ""
    curve = [
        r for r in csv_rows(scored.scores / "random_curve.csv") if (r["family"], r["severity"]) == ("image", "mean")
    ]
    assert [float(curve[0]["clean"]), float(curve[-1]["clean"])] == pytest.approx([min(xs), max(xs)], abs=1e-5)


def test_without_random_pruning_there_is_no_curve(study: Study, folders: Folders) -> None:
    methods = {
        name: chosen if name == "full" else chosen.model_copy(update={"method": "atp"})
        for name, chosen in study.methods.items()
    }
    run(study.model_copy(update={"methods": methods}), folders)
    for name in ("effective", "random_curve"):
        assert csv_rows(folders.scores / f"{name}.csv") == []


@pytest.mark.parametrize(("name", "severity"), [("clean", 0), IMAGE[0], ("typo_swap", 1)])
def test_flips_against_the_full_model_and_against_clean_answers(scored: Folders, name: str, severity: int) -> None:
    own, full, clean = (
        answers(scored, *which) for which in (("thin", name, severity), ("full", name, severity), ("thin", "clean", 0))
    )
    found = summary(scored)
    family = "clean" if name == "clean" else "text" if name == "typo_swap" else "image"
    for group, other in (("flips_full", full), ("flips_clean", clean)):
        if group == "flips_clean" and name == "clean":
            continue
        for outcome, before, after in (
            ("correct_to_wrong", True, False), ("wrong_to_correct", False, True), ("wrong_to_wrong", False, False),
        ):  # fmt: skip
            rows = {
                key: row | {"flip": (other[key]["correct"], row["correct"]) == (before, after)
                            and row["prediction"] != other[key]["prediction"]}
                for key, row in own.items() if key in other
            }  # fmt: skip
            row = found["thin", family, name, str(severity), f"{group}/{outcome}"]
            assert float(row["value"]) == pytest.approx(100 * mean(questions(rows, "flip").values()), abs=1e-5)


def test_existence_is_also_judged_at_the_full_models_recall(scored: Folders) -> None:
    """Area under the curve and matched rate of one condition, from the logits as they lie on disk."""
    name, severity = IMAGE[0]
    logits = {
        row["sample_id"]: row["yes_logit"] - row["no_logit"]
        for row in read_logits(scored, "tiny", "thin").to_pylist()
        if (row["perturbation"], row["severity"]) == (name, severity)
    }
    rows = {k: r | {"margin": logits[k]} for k, r in answers(scored, "thin", name, severity).items()}
    margin = questions(rows, "margin", "existence")
    truth = {key: key[1] == "Is there a dog in the image?" for key in margin}
    present, absent = ([m for k, m in margin.items() if truth[k] == value] for value in (True, False))
    found = summary(scored)
    where = ("thin", "image", name, str(severity))
    pairs = mean((p > a) + 0.5 * (p == a) for p in present for a in absent)
    assert float(found[*where, "sensitivity/auc"]["value"]) == pytest.approx(100 * pairs, abs=0.006)
    full = questions(answers(scored, "full", "clean", 0), "correct", "existence")
    recall = mean(value for key, value in full.items() if truth[key])
    place = sorted(present, reverse=True)[round(recall * len(present)) - 1]
    matched = 100 * mean(a >= place for a in absent)
    assert float(found[*where, "hallucination/matched"]["value"]) == pytest.approx(matched, abs=0.006)
    contrasts = {
        (r["method"], r["perturbation"], r["severity"], r["metric"]): r
        for r in csv_rows(scored.scores / "contrasts.csv")
    }
    other = float(found["full", "image", name, str(severity), "hallucination/matched"]["value"])
    difference = contrasts["thin", name, str(severity), "hallucination/matched"]["value"]
    assert float(difference) == pytest.approx(matched - other, abs=0.02)
    assert ("thin", "clean", "0", "clean/hallucination/matched") in contrasts


def test_means_average_conditions(scored: Folders) -> None:
    found = summary(scored)
    for metric in ("accuracy/all", "pope/f1_mean", "robust/drop_all", "robust/flip_rate"):
        each = [float(found["thin", "image", name, str(s), metric]["value"]) for name, s in IMAGE]
        for name in ("gaussian_noise", "mean"):
            assert float(found["thin", "image", name, "mean", metric]["value"]) == pytest.approx(mean(each), abs=1e-5)


def test_captions_are_scored_where_they_were_asked(scored: Folders) -> None:
    found = summary(scored)
    forms = {"dog": "dog", "dogs": "dog", "car": "car", "cars": "car", "bus": "bus", "kite": "kite", "kites": "kite"}
    captions = [r["text"] for r in answers(scored, "thin", "clean", 0).values() if r["kind"] == "caption"]
    mentions = [[forms[word] for word in text.split() if word in forms] for text in captions]
    false = [[name for name in named if name not in ("dog", "car")] for named in mentions]
    expected = {
        "chair/i": 100 * sum(map(len, false)) / sum(map(len, mentions)),
        "chair/s": 100 * mean(bool(names) for names in false),
        "chair/recall": 100 * sum(len(set(n) & {"dog", "car"}) for n in mentions) / 12,
        "captions/length": mean(len(text.split()) for text in captions),
    }
    for metric, value in expected.items():
        assert float(found["thin", "clean", "clean", "0", metric]["value"]) == pytest.approx(value)
    assert ("thin", "image", "gaussian_noise", "1", "chair/i") in found
    assert ("thin", "image", "gaussian_noise", "3", "chair/i") not in found
    assert ("thin", "text", "mean", "mean", "chair/i") not in found


def test_intervals_hold_their_values(scored: Folders) -> None:
    banded = ("accuracy/all", "accuracy/colour", "hallucination/rate", "pope/f1_mean", "robust/drop_all")
    for key, row in summary(scored).items():
        if row["low"]:
            assert float(row["low"]) <= float(row["high"])
        if key[-1] in banded:
            assert float(row["low"]) - 1e-6 <= float(row["value"]) <= float(row["high"]) + 1e-6


def test_pruner_is_also_compared_with_random_pruning_to_as_many_tokens(study: Study, folders: Folders) -> None:
    thinner = study.methods["thin"].model_copy(update={"method": "atp"})
    run(study.model_copy(update={"methods": {**study.methods, "thinner": thinner}}), folders)
    rows = csv_rows(folders.scores / "contrasts.csv")
    keys = ("method", "baseline", "family", "perturbation", "severity", "metric")
    found = {tuple(row[key] for key in keys): row for row in rows}
    assert len(found) == len(rows)
    cell = ("image", "live", "mean", "accuracy/all")
    control, full, random = (
        found[method, baseline, *cell]
        for method, baseline in (("thinner", "thin"), ("thinner", "full"), ("thin", "full"))
    )
    assert float(control["value"]) == pytest.approx(float(full["value"]) - float(random["value"]), abs=1e-5)
    assert (control["primary"], full["primary"]) == ("false", "true")


def test_the_drop_is_what_ranking_costs_and_what_features_cost(study: Study, folders: Folders) -> None:
    """A method's drop is that of its twin which ranks on clean pictures, and the difference of the two drops."""
    own = study.methods["thin"].model_copy(update={"method": "atp"})
    methods = {**study.methods, "thin": own, "thinner": own.model_copy(update={"rank_from": "clean"})}
    run(study.model_copy(update={"methods": methods}), folders)
    found = summary(folders)
    keys = ("method", "baseline", "family", "perturbation", "severity", "metric")
    differences = {tuple(row[key] for key in keys): row for row in csv_rows(folders.scores / "contrasts.csv")}
    for place in ("1", "3", "mean"):
        total, features = (
            float(found[name, "image", "gaussian_noise", place, "robust/drop_all"]["value"])
            for name in ("thin", "thinner")
        )
        ranking = differences["thin", "thinner", "image", "gaussian_noise", place, "accuracy/all"]
        assert float(ranking["value"]) == pytest.approx(total - features, abs=1e-5)
        assert float(ranking["low"]) < float(ranking["value"]) < float(ranking["high"])
    assert not any(key[:2] == ("thinner", "thin") for key in differences)


def test_retention_is_compared_as_it_is(scored: Folders) -> None:
    """The method's minus the full model's under the same conditions, over the live ones too; clean has none."""
    found = summary(scored)
    keys = ("method", "family", "perturbation", "severity", "metric")
    differences = {tuple(row[key] for key in keys): row for row in csv_rows(scored.scores / "contrasts.csv")}
    for where in (("gaussian_noise", "1"), ("live", "mean")):
        own, full = (float(found[name, "image", *where, "robust/retention"]["value"]) for name in ("thin", "full"))
        row = differences["thin", "image", *where, "robust/retention"]
        assert float(row["value"]) == pytest.approx(own - full, abs=1e-5)
        assert float(row["low"]) < own - full < float(row["high"])
    assert not any(key[1] == "clean" and "retention" in key[4] for key in differences)


def test_a_backbone_is_scored_with_the_methods_that_it_is_run_with(study: Study, folders: Folders) -> None:
    own = study.backbones["tiny"].model_copy(update={"methods": ("full", "thin")})
    folders.answers_of("tiny", "thinner").unlink()
    run(study.model_copy(update={"backbones": {"tiny": own}}), folders)
    for name, methods in (("summary", {"full", "thin"}), ("contrasts", {"thin"}), ("effective", {"full", "thin"})):
        assert {row["method"] for row in csv_rows(folders.scores / f"{name}.csv")} == methods


def test_primary_contrasts_alone_are_corrected(scored: Folders) -> None:
    rows = csv_rows(scored.scores / "contrasts.csv")
    assert {row["method"] for row in rows} == {"thin", "thinner"}
    primary = [row for row in rows if row["primary"] == "true"]
    assert [(r["method"], r["family"], r["perturbation"], r["severity"], r["metric"]) for r in primary] == [
        (method, family, "live", "mean", "accuracy/all")
        for method in ("thin", "thinner")
        for family in ("image", "text")
    ]
    p = sorted(float(row["p"]) for row in primary)
    running = 0.0
    for rank, value in enumerate(p):
        running = max(running, min(1.0, (4 - rank) * value))
        adjusted = sorted(float(row["p_holm"]) for row in primary)[rank]
        assert math.isclose(adjusted, running, abs_tol=1e-5)
    assert all(row["p_holm"] == "" for row in rows if row["primary"] == "false")


def test_same_answers_in_any_order_give_the_same_bytes(study: Study, scored: Folders, folders: Folders) -> None:
    before = {path.name: path.read_bytes() for path in scored.scores.iterdir()}
    assert len(before) == 12
    for method in ("full", "thin", "thinner"):
        path = folders.answers_of("tiny", method)
        table = read_table(path)
        write_table(path, table.take(list(reversed(range(table.num_rows)))))
    run(study, folders)
    assert {path.name: path.read_bytes() for path in folders.scores.iterdir()} == before


def test_missing_answers_are_named_and_nothing_is_left_half_written(study: Study, folders: Folders) -> None:
    folders.answers_of("tiny", "thinner").unlink()
    with pytest.raises(PruneProofError, match=r"tiny/thinner\.parquet is missing"):
        run(study, folders)
    assert not list(folders.scores.iterdir())


def test_logits_are_read_row_by_row_beside_the_answers(folders: Folders) -> None:
    table, answers = read_logits(folders, "tiny", "thin"), read_rows(folders.answers_of("tiny", "thin"))
    assert table["sample_id"].to_pylist() == [row["sample_id"] for row in answers]
    write_table(folders.logits_of("tiny", "thin"), table.rename_columns([*table.column_names[:-1], "other"]))
    with pytest.raises(PruneProofError, match=r"thin\.parquet cannot be read"):
        read_logits(folders, "tiny", "thin")


def test_answers_with_a_wrong_column_are_named(study: Study, folders: Folders) -> None:
    path = folders.answers_of("tiny", "thin")
    table = pq.read_table(path)
    column = table.schema.get_field_index("severity")
    write_table(path, table.set_column(column, "severity", table["sample_id"]))
    with pytest.raises(PruneProofError, match=r"tiny/thin\.parquet does not fit"):
        run(study, folders)


def test_dialogues_are_scored_but_are_neither_a_perturbation_nor_primary(study: Study, folders: Folders) -> None:
    for path in folders.answers.rglob("*.parquet"):
        table = read_table(path)
        single = [r for r in table.to_pylist() if r["family"] == "clean"]
        turns = [
            r | {"family": "dialogue", "perturbation": "dialogue_first", "severity": turn}
            for r in single
            for turn in (1, 2)
        ]
        write_table(path, pa.concat_tables([table, pa.Table.from_pylist(turns, schema=table.schema)]))
    run(study, folders)
    rows = summary(folders)
    for turn in ("1", "2", "mean"):
        found = rows["thin", "dialogue", "dialogue_first", turn, "accuracy/all"]["value"]
        assert found == rows["thin", "clean", "clean", "0", "accuracy/all"]["value"]
        assert float(rows["thin", "dialogue", "dialogue_first", turn, "robust/drop_all"]["value"]) == 0
    dialogues = [key for key in rows if key[1] == "dialogue"]
    assert not [key for key in dialogues if key[2] == "mean" or key[4] == "robust/corruption_error"]
    contrasts = csv_rows(folders.scores / "contrasts.csv")
    assert {r["primary"] for r in contrasts if r["family"] == "dialogue"} == {"false"}
    assert {r["family"] for r in contrasts if r["primary"] == "true"} == {"image", "text"}


def test_consensus_over_rephrasings(study: Study, folders: Folders) -> None:
    """The rephrasings are answered as the clean questions were, but the first with `maybe`."""
    for method in ("full", "thin", "thinner"):
        for path in (folders.answers_of("tiny", method), folders.logits_of("tiny", method)):
            table = read_table(path)
            clean = [row for row in table.to_pylist() if row["family"] == "clean"]
            for severity in (1, 2, 3):
                changed = {"family": "text", "perturbation": "paraphrase_human", "severity": severity}
                changed |= {"text": "maybe"} if severity == 1 and "text" in table.column_names else {}
                added = pa.Table.from_pylist([row | changed for row in clean], schema=table.schema)
                table = pa.concat_tables([table, added])
            write_table(path, table)
    text = study.perturbations.text.model_copy(update={"names": ("typo_swap", "paraphrase_human")})
    run(study.model_copy(update={"perturbations": study.perturbations.model_copy(update={"text": text})}), folders)
    found = summary(folders)
    for method in ("full", "thin"):
        wordings = [("clean", 0), *(("paraphrase_human", severity) for severity in (1, 2, 3))]
        marks = [questions(answers(folders, method, *wording), "correct") for wording in wordings]
        for size in (1, 2, 3, 4):
            row = found[method, "text", "paraphrase_human", "mean", f"robust/consensus_{size}"]
            by_hand = mean(
                mean(all(one[unit] > 0 for one in subset) for subset in combinations(marks, size)) for unit in marks[0]
            )
            assert 0 < by_hand < 1
            assert float(row["value"]) == pytest.approx(100 * by_hand, abs=1e-5)
            assert int(row["n"]) == len(marks[0])
    assert sum(key[-1].startswith("robust/consensus") for key in found) == 3 * 4
