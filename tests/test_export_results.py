from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pruneproof import cli
from pruneproof.files import write_rows
from pruneproof.folders import Folders
from pruneproof.records import ANSWERS, SAMPLES, Sample, sample_to_row

PARAMS = """
study: {name: export}
benchmark: {name: BENCHMARK, images: null, options: OPTIONS}
backbones:
  llava15: {family: llava, checkpoint: model, text_tower: model, answer_conversion: llava_vqa}
methods:
  full: {method: full}
"""
VQA = ("vqav2", "{split: test-dev2015}")
SAID = {"a.jpg/262148000": "Down.", "a.jpg/262148001": "Two\ndogs"}


def study(folder: Path, benchmark: tuple[str, str] = VQA, said: dict[str, str] | None = None) -> Path:
    """Two questions without published answers, and what one model says to them, clean and under noise."""
    name, options = benchmark
    (folder / "params.yaml").write_text(PARAMS.replace("BENCHMARK", name).replace("OPTIONS", options))
    (folder / "model").mkdir()
    folders = Folders(folder)
    samples = [Sample(key, "a.jpg", "unanswered", "What is it?", "", scorers=()) for key in SAID]
    write_rows(folders.benchmark / "samples.parquet", [sample_to_row(sample) for sample in samples], SAMPLES)
    counts = {"visual_tokens": 4, "input_tokens": 4, "mean_tokens": 4.0, "sequence_length": 9, "kept": [0]}
    rows: list[dict[str, Any]] = []
    for condition in (("image", "gaussian_noise", 3), ("clean", "clean", 0)):
        place = dict(zip(("family", "perturbation", "severity"), condition, strict=True))
        for key, text in reversed((SAID if said is None else said).items()):
            rows.append(place | counts | {"sample_id": key, "text": text if place["family"] == "clean" else "noise"})
    write_rows(folders.answers / "llava15" / "full.parquet", rows, ANSWERS)
    return folder


def export(folder: Path, *arguments: str) -> int:
    command = ["export_results", "--study", str(folder), "--backbone", "llava15", "--method", "full"]
    return cli.main([*command, *arguments])


def test_clean_answers_as_converted_in_the_order_of_the_questions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(study(tmp_path), "--name", "pruned") == 0
    file = tmp_path / "results/llava15/full/v2_OpenEnded_mscoco_test-dev2015_pruned_results.json"
    assert json.loads(file.read_text()) == [
        {"question_id": 262148000, "answer": "down"},
        {"question_id": 262148001, "answer": "2 dogs"},
    ]
    assert capsys.readouterr().out == f"{file}: 2 answers\n"


def test_backbone_and_method_name_the_file(tmp_path: Path) -> None:
    assert export(study(tmp_path)) == 0
    (file,) = (tmp_path / "results/llava15/full").iterdir()
    assert file.name == "v2_OpenEnded_mscoco_test-dev2015_llava15_full_results.json"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "atp"], "--method is 'atp', which params.yaml does not have: full"),
        (["--backbone", "blip2"], "--backbone is 'blip2', which params.yaml does not have: llava15"),
        (["--name", "../x"], "--name is '../x', but becomes part of a file's name"),
    ],
)
def test_wrong_arguments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert export(study(tmp_path), *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_a_missing_answer_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(study(tmp_path, said={"a.jpg/262148000": "Down."})) == 2
    said = capsys.readouterr().err
    assert "full.parquet: no answer on the clean picture to 1 of 2 questions" in said
    assert "'a.jpg/262148001'" in said


def test_a_benchmark_without_such_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(study(tmp_path, ("scenes", "{}"))) == 2
    assert "benchmark scenes has no official result file" in capsys.readouterr().err
