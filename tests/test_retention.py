"""Retention: its numbers by hand, the printed table, and the card that gets them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pruneproof import cli, registry, retention
from pruneproof.benchmarks import Request
from pruneproof.files import read_json
from pruneproof.perturbations.images.stage import image_conditions
from pruneproof.records import CLEAN
from pruneproof.retention import SEEDS, Part, Retention, as_json, scenes
from pruneproof.study import load_study

PROJECT = Path(__file__).parents[1]

FOUND = Retention(
    images=10,
    questions=100,
    chance=0.6,
    clean=0.9,
    kinds={"existence": 0.95},
    accuracies={"fog": {1: 0.9, 5: 0.63}, "blur": {1: 0.75, 5: 0.6}},
)


def test_retention_is_the_share_of_the_lead_over_chance() -> None:
    assert FOUND.kept("fog", 1) == pytest.approx(1)
    assert FOUND.kept("fog", 5) == pytest.approx(0.1)
    assert FOUND.mean(1) == pytest.approx(0.75)
    assert FOUND.mean(5) == pytest.approx(0.05)
    assert FOUND.blind() == [("fog", 5), ("blur", 5)]
    assert FOUND.severities == (1, 5)


def test_numbers_beside_the_checkpoint_are_percent() -> None:
    stored = as_json(FOUND)
    assert stored["retention"] == {"fog": {"1": 100.0, "5": 10.0}, "blur": {"1": 50.0, "5": 0.0}}
    assert stored["accuracies"]["blur"]["1"] == 75.0
    assert (stored["clean"], stored["chance"]) == (90.0, 60.0)


def test_questions_are_asked_once_and_only_of_the_kinds_that_count() -> None:
    study = load_study(PROJECT)
    pictures, asked = scenes(study, 3, Path())
    assert len(pictures) == 3
    assert len(asked) == len(set(asked))
    assert {one.kind for one in asked} <= set(study.scoring.kinds)
    assert {one.truth for one in asked if one.kind == "existence"} == {"yes", "no"}


def test_scenes_are_never_the_study_s_own() -> None:
    """Whatever its seed, 41 included, from which the scenes of all other studies come."""
    study = load_study(PROJECT)
    drawn = {}
    for seed in (2026, *SEEDS):
        changed = study.model_copy(update={"study": study.study.model_copy(update={"seed": seed})})
        pictures, _ = scenes(changed, 2, Path())
        module = registry.load_module("pruneproof.benchmarks", study.benchmark.name, "benchmark")
        own = module.build(Request(2, seed), module.Options())
        assert not {picture.picture.read() for picture in pictures} & {row["png"] for row in own.images}
        drawn[seed] = [picture.picture.read() for picture in pictures]
    assert drawn[2026] == drawn[42] != drawn[41]


def test_every_condition_is_measured_against_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that errs under every severity but the mildest: its accuracies come back by name and severity."""
    study = load_study(PROJECT)

    def answered(part: Part) -> list[bool]:
        right = part.condition == CLEAN or part.condition.severity == 1
        return [right or number % 2 == 0 for number in range(len(part.questions))]

    monkeypatch.setattr(retention, "answered", answered)
    monkeypatch.setenv("PRUNEPROOF_WORKERS", "1")
    monkeypatch.setenv("PRUNEPROOF_DEVICE", "cpu")
    found = retention.measure(study, study.backbones["builtin_llava"], PROJECT, 2)
    asked = {(c.perturbation, c.severity) for c in image_conditions(study.perturbations.image)}
    assert {(name, severity) for name, row in found.accuracies.items() for severity in row} == asked
    assert found.clean == 1
    assert all(row[1] == 1 for row in found.accuracies.values())
    assert all(0.45 < row[5] < 0.55 for row in found.accuracies.values())


def test_it_prints_and_saves_onto_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "data" / "backbones" / "builtin_llava"
    target.mkdir(parents=True)
    for name in ("params.yaml", "data/backbones/builtin_llava/training.json"):
        shutil.copy(PROJECT / name, tmp_path / name)
    monkeypatch.setattr(retention, "measure", lambda *_: FOUND)
    arguments = ["retention", "--study", str(tmp_path), "--backbone", "builtin_llava", "--save"]
    assert cli.main(arguments) == 0
    said = capsys.readouterr().out
    assert "mean" in said
    assert "75.0" in said
    assert "Cells below 20%: 2 (fog 5, blur 5)." in said
    assert read_json(target / "retention.json") == as_json(FOUND)
    card = (target / "README.md").read_text()
    assert "The full model on 10 unseen scenes (100 questions)" in card
    assert "| blur | 50 | 0 |" in card
    assert "| **mean** | **75** | **5** |" in card
    assert "severity 1" in card


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--backbone", "nobody"], "--backbone is 'nobody', which params.yaml does not have: builtin_llava"),
        (["--backbone", "builtin_llava", "--images", "0"], "--images is 0: give a number from 1 on"),
        (["--backbone", "builtin_llava", "--save"], "--save writes onto the card of a built-in model"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    options: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(PROJECT / "params.yaml", tmp_path)
    assert cli.main(["retention", "--study", str(tmp_path), *options]) == 2
    assert says in capsys.readouterr().err
