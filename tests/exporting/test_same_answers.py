"""A model that answers the scenes' questions says the same, word for word, when they come from the exported files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ruamel.yaml import YAML

from pruneproof.cli import main
from pruneproof.exporting import pope, vqav2
from pruneproof.files import read_rows
from pruneproof.records import EXISTENCE

PROJECT = Path(__file__).parents[2]
MODEL = "data/backbones/builtin_llava"
STAGES = ("write_manifests", "draw_scenes", "corrupt_images", "reword_questions", "locate_patches")
METHODS = {"full": {"method": "full"}, "atp_25": {"method": "atp", "keep": 0.25, "alpha": 0.5}}

Key = tuple[str, str, int, str]
"""Method, condition, number of the picture, question."""


def params(benchmark: dict[str, Any]) -> dict[str, Any]:
    """Clean and with less contrast, which takes no random numbers: the pictures' names differ, and so would noise."""
    return {
        "study": {"name": "there_and_back", "root": str(PROJECT), "seed": 5},
        "benchmark": {"images": 3, **benchmark},
        "perturbations": {"image": {"names": ["contrast"], "severities": [3]}},
        "backbones": {"b": {"family": "llava", "checkpoint": MODEL, "text_tower": f"{MODEL}/clip"}},
        "methods": METHODS,
        "scoring": {"resamples": 100, "primary": ["atp_25"]},
    }


def number_of(image_id: str) -> int:
    return int(re.findall(r"\d+", image_id)[-1])


def asked(folder: Path, benchmark: dict[str, Any]) -> tuple[dict[Key, tuple[str, list[int]]], Any]:
    """Texts and kept tokens of every answer, and the summary."""
    folder.mkdir()
    YAML().dump(params(benchmark), folder / "params.yaml")
    for stage in STAGES:
        assert main([stage, "--study", str(folder)]) == 0
    assert main(["answer_questions", "--study", str(folder), "--backbone", "b"]) == 0
    costs = folder / "data" / "costs" / "flops.csv"
    costs.parent.mkdir()
    costs.write_text("backbone,method,component,flops\n")
    assert main(["score_answers", "--study", str(folder)]) == 0
    samples = {row["sample_id"]: row for row in read_rows(folder / "data/benchmark/samples.parquet")}
    found = {}
    for method in METHODS:
        for row in read_rows(folder / f"data/answers/b/{method}.parquet"):
            sample = samples[row["sample_id"]]
            key = method, row["perturbation"], number_of(sample["image_id"]), sample["question"]
            found[key] = row["text"], row["kept"]
    place = ["method", "family", "perturbation", "severity", "metric"]
    summary = pd.read_csv(folder / "data/scores/summary.csv").set_index(place)
    return found, summary[["value", "low", "high", "n"]]


def exported(folder: Path, form: str, reader: dict[str, Any]) -> dict[str, Any]:
    to = folder.parent / form
    assert main(["export_scenes", "--study", str(folder), "--as", form, "--to", str(to)]) == 0
    return {"name": form, "folder": str(to), "options": dict(reader)}


@pytest.mark.slow
def test_a_study_of_the_files_is_the_study_of_the_scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNEPROOF_WORKERS", "1")
    monkeypatch.setenv("PRUNEPROOF_DEVICE", "cpu")
    scenes = {"name": "scenes", "options": {"pope_pairs": 2, "per_kind": 1}}
    there, ours = asked(tmp_path / "scenes", scenes)
    metric = ours.index.get_level_values("metric")

    back, theirs = asked(tmp_path / "back", exported(tmp_path / "scenes", "pope", pope.READERS["pope"]))
    assert {condition for _, condition, _, _ in back} == {"clean", "contrast"}
    assert back == {key: there[key] for key in back}
    of_pope = ours[metric.str.startswith("pope/") | (metric == f"accuracy/{EXISTENCE}")]
    assert {f"pope/f1_{split}" for split in ("random", "popular", "adversarial")} <= {*metric}
    pd.testing.assert_frame_equal(of_pope, theirs.loc[of_pope.index])

    every, theirs = asked(tmp_path / "all", exported(tmp_path / "scenes", "vqav2", vqav2.READERS["vqav2"]))
    assert set(back) < set(every) < set(there)
    assert every == {key: there[key] for key in every}
    of_all = ours[metric == "accuracy/all"]
    assert of_all["value"].between(1, 99).any()
    pd.testing.assert_frame_equal(of_all, theirs.loc[of_all.index])
