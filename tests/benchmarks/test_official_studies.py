"""Studies of official files go through every stage on made-up answers, up to the figures of the official scripts."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.benchmarks import test_amber as amber
from tests.benchmarks import test_coco_captions as coco
from tests.benchmarks import test_gqa as gqa
from tests.benchmarks import test_vqav2 as vqa
from tests.benchmarks.test_any_benchmark import SIDE, STUDY, answer, costs

from pruneproof.benchmarks import stage as benchmarks
from pruneproof.folders import Folders
from pruneproof.perturbations.images import stage as images
from pruneproof.perturbations.text import stage as text
from pruneproof.reporting import stage as reporting
from pruneproof.reporting import style
from pruneproof.scoring import stage as scoring
from pruneproof.settings import BenchmarkSettings, DialogueSettings, Study


def of_gqa(folder: Path) -> None:
    gqa.written(folder, gqa.every(), gqa.ALL)


CASES: dict[str, tuple[Callable[[Path], Any], dict[str, Any], str, dict[str, float]]] = {
    # Three of ten say yes to the third question: 0.9; nobody to the others.
    "vqav2": (lambda folder: vqa.written(folder, *vqa.entries()), {}, "yes", {"vqa/overall": 30.0}),
    # One of three balanced questions is right; it entails nothing, so that consistency is 0.
    "gqa": (of_gqa, {"consistency": True}, "yes", {"gqa/Accuracy": 33.33, "gqa/Consistency": 0.0}),
    # Four of seven are `no`: precision 4/7.001, recall 4/4.001.
    "amber": (
        lambda folder: amber.written(folder, *amber.lists()),
        {},
        "No",
        {"amber/Accuracy": 57.1, "amber/Precision": 57.1, "amber/Recall": 100.0, "amber/Existence: Accuracy": 100.0},
    ),
    # The first picture has a dog and no motorcycle; the second the other way round.
    "coco_captions": (
        coco.filled,
        {"tokens": "plain"},
        "A dog and a motorbike.",
        {"chair/CHAIRs": 100.0, "chair/CHAIRi": 50.0},
    ),
}


def study_of(name: str, options: dict[str, Any]) -> Study:
    settings = BenchmarkSettings(name=name, images=None, folder="files", options=options)
    answering = STUDY.answering.model_copy(update={"dialogues": DialogueSettings()})
    return STUDY.model_copy(update={"benchmark": settings, "answering": answering})


def figures(path: Path) -> Iterator[tuple[str, float]]:
    """Of the full model on clean pictures."""
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["method"] == "full" and row["family"] == "clean":
                yield f"{row['scorer']}/{row['figure']}", float(row["value"])


@pytest.mark.parametrize("name", CASES)
@pytest.mark.slow
def test_from_official_files_to_official_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("PRUNEPROOF_WORKERS", "1")
    monkeypatch.setattr(style, "DPI", 30)
    write, options, said, expected = CASES[name]
    (tmp_path / "files").mkdir()
    write(tmp_path / "files")
    for number, picture in enumerate(sorted(tmp_path.rglob("*.jpg"))):
        Image.new("RGB", (SIDE, SIDE), (40 * number, 90, 200)).save(picture, "JPEG")
    study, folders = study_of(name, options), Folders(tmp_path)
    for stage in (benchmarks, images, text):
        stage.run(study, folders)
    answer(study, folders, repeat(said))
    costs(folders)
    scoring.run(study, folders)
    reporting.run(study, folders)
    found = dict(figures(folders.scores / "official.csv"))
    assert {figure: found[figure] for figure in expected} == expected
