"""The ready studies whole, with small checkpoints of the same classes and small files in the official formats."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from ruamel.yaml import YAML
from tests.backbones._blip2_checkpoint import save_blip2
from tests.backbones._flamingo_checkpoint import save_flamingo
from tests.backbones._qwen_vl_published import save_published
from tests.conftest import save_llava
from tests.test_end_to_end import new_project, repro

from pruneproof.cli import main
from pruneproof.files import read_rows
from pruneproof.prompts import RECORDS

PROJECT = Path(__file__).parents[1]
SAVED: Mapping[str, Callable[[Path], None]] = {
    "llava": save_llava,
    "blip2": lambda folder: save_blip2(folder, "t5"),
    "flamingo": lambda folder: save_flamingo(folder, instruct=False),
    "qwen2_5_vl": lambda folder: save_published(folder, "qwen2_5_vl"),
    "qwen3_vl": lambda folder: save_published(folder, "qwen3_vl"),
}
TRIED = (
    "full",
    "random_60",
    "random_64",
    "atp_60",
    "atp_64",
    "fastervlm_64",
    "visionzip_64",
    "divprune_64",
    "fastv_64",
    "random_33",
    "random_33_in_model",
    "atp_received_60",
    "divprune_33",
    "mmtok_33",
)
PICTURES = (42, 73, 139)


def picture(number: int) -> str:
    return f"COCO_val2014_{number:012d}.jpg"


def put(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def photographs(folder: Path, *names: str) -> None:
    """Noise in place of pictures, upright and lying."""
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        pixels = np.random.default_rng(number).integers(0, 256, (70, 90, 3) if number else (90, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)


def pope(folder: Path) -> None:
    photographs(folder / "val2014", *map(picture, PICTURES))
    for split, absent in (("random", "zebra"), ("popular", "car"), ("adversarial", "truck")):
        asked = [(image, noun, label) for image in PICTURES for noun, label in (("dog", "yes"), (absent, "no"))]
        lines = [
            {"question_id": number, "image": picture(image), "text": f"Is there a {noun} in the image?", "label": label}
            for number, (image, noun, label) in enumerate(asked, start=1)
        ]
        put(folder / f"pope/coco_pope_{split}.json", "\n".join(map(json.dumps, lines)))


def vqav2(folder: Path) -> None:
    photographs(folder / "val2014", *map(picture, PICTURES))
    questions, annotations = [], []
    for image in PICTURES:
        for number, (text, kind, answer) in enumerate(
            [("Is it red?", "yes/no", "yes"), ("How many dogs?", "number", "2"), ("What is it?", "other", "a dog")]
        ):
            known = {"question_id": 1000 * image + number, "image_id": image}
            questions.append(known | {"question": text})
            given = [
                {"answer": answer if k < 7 else "no", "answer_confidence": "yes", "answer_id": k} for k in range(10)
            ]
            told = {"question_type": "is it", "answer_type": kind, "multiple_choice_answer": answer, "answers": given}
            annotations.append(known | told)
    put(folder / "vqav2/v2_OpenEnded_mscoco_val2014_questions.json", {"questions": questions})
    put(folder / "vqav2/v2_mscoco_val2014_annotations.json", {"annotations": annotations})


def gqa(folder: Path) -> None:
    photographs(folder / "images", *(f"n{image}.jpg" for image in PICTURES))
    found = {}
    for image in PICTURES:
        for kind, text, answer in (("query", "What color is the car?", "red"), ("verify", "Is the car red?", "yes")):
            found[f"{image}{kind}"] = {
                "imageId": f"n{image}",
                "question": text,
                "answer": answer,
                "isBalanced": True,
                "types": {"structural": kind, "semantic": "attr", "detailed": "color"},
                "groups": {"global": "color" if kind == "query" else None},
                "semantic": [{"operation": "select", "argument": "car (1)", "dependencies": []}],
                "entailed": [],
            }
    put(folder / "questions/testdev_balanced_questions.json", found)


def coco_captions(folder: Path) -> None:
    photographs(folder / "val2014", *map(picture, PICTURES))
    written = ["a dog on a couch", "two dogs beside a red car", "a person waits for a bus"]
    entries = [
        {"filename": picture(image), "cocoid": image, "split": "test", "sentences": [{"raw": raw} for raw in written]}
        for image in PICTURES
    ]
    put(folder / "dataset_coco.json", {"images": entries})
    sized = [{"id": image, "file_name": picture(image), "width": 90, "height": 70} for image in PICTURES]
    boxes = [
        {"id": number, "image_id": image, "category_id": 18, "bbox": [1.0, 2.0, 30.0, 40.0], "iscrowd": 0}
        for number, image in enumerate(PICTURES)
    ]
    categories = [{"id": 18, "name": "dog"}, {"id": 63, "name": "couch"}]
    put(
        folder / "annotations/instances_val2014.json", {"images": sized, "annotations": boxes, "categories": categories}
    )
    put(folder / "synonyms.txt", "dog, puppy\ncouch, sofa\ncar, auto\n")


FILES: Mapping[str, Callable[[Path], None]] = {
    "llava15_pope": pope,
    "blip2_vqav2": vqav2,
    "idefics_gqa": gqa,
    "llava15_captions": coco_captions,
    "qwen25vl_pope": pope,
    "qwen3vl_pope": pope,
}


def ready(name: str, folder: Path, checkpoint: Path, root: str) -> Path:
    """The ready study in `folder`, with few conditions and methods, a small checkpoint and small files."""
    params = YAML(typ="safe").load(PROJECT / f"studies/{name}/params.yaml")
    data = folder / "official"
    FILES[name](data)
    params["study"]["root"] = root
    params["benchmark"] |= {"folder": "official", "images": None}
    if name == "llava15_captions" and (shutil.which("java") is None or find_spec("pycocoevalcap") is None):
        params["benchmark"]["options"]["tokens"] = "plain"
    params["perturbations"]["image"] |= {"names": ["gaussian_noise"], "severities": [3], "model_pixels": 56}
    params["perturbations"]["text"]["severities"] = [1]
    params["methods"] = {key: value for key, value in params["methods"].items() if key in TRIED}
    params["answering"]["caption_conditions"] = ["clean", "gaussian_noise_3"]
    params["scoring"]["resamples"] = 100
    params["costs"] = {"images": 1, "repeats": 3}
    params["report"] = {"examples": 1}
    for backbone in params["backbones"].values():
        for key in ("revision", "text_tower_pretrained"):
            backbone.pop(key, None)
        backbone |= {"checkpoint": str(checkpoint), "dtype": "float32"}
        if "text_tower" in backbone:
            backbone["text_tower"] = str(checkpoint / "clip")
    YAML().dump(params, folder / "params.yaml")
    return folder


def saved(family: str, folder: Path) -> Path:
    """A small checkpoint whose language model takes prompts and answers as long as the published one does."""
    SAVED[family](folder)
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    for part in (config, config.get("text_config", {})):
        if "max_position_embeddings" in part:
            part["max_position_embeddings"] = 4096
    put(path, config)
    return folder


def require_scores(folder: Path) -> None:
    """Every scorer that the samples name has its metrics, for every method, clean and perturbed."""
    methods = YAML(typ="safe").load(folder / "params.yaml")["methods"]
    assert {"full", "random_60"} < set(methods) <= set(TRIED)
    named = {
        scorer for row in read_rows(folder / "data/benchmark/samples.parquet") for scorer in json.loads(row["scorers"])
    }
    summary = pd.read_csv(folder / "data/scores/summary.csv")
    assert named
    for scorer in named:
        found = summary[summary["metric"].str.startswith(f"{scorer}/")]
        assert {"clean", "image"} <= set(found["family"]), scorer
        assert set(methods) <= set(found["method"]), scorer
        assert found["value"].notna().any(), scorer
    decoding = json.loads((folder / "data/scores/decoding.json").read_text(encoding="utf-8"))
    page = (folder / "reports/report.html").read_text(encoding="utf-8")
    for backbone, said in decoding.items():
        assert said["search"] == "greedy"
        assert f"Decoding of {backbone}" in page
        assert RECORDS[said["prompt"]].title in page


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("name", ["blip2_vqav2", "llava15_captions", "qwen25vl_pope", "qwen3vl_pope"])
def test_a_ready_study_ends_in_its_scorers_metrics(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in (("WORKERS", "1"), ("DEVICE", "cpu")):
        monkeypatch.setenv(f"PRUNEPROOF_{key}", value)
    settings = YAML(typ="safe").load(PROJECT / f"studies/{name}/params.yaml")["backbones"]
    family = RECORDS[next(iter(settings.values()))["prompt"]].family
    folder = tmp_path / "study"
    folder.mkdir()
    ready(name, folder, saved(family, tmp_path / "checkpoint"), str(PROJECT))

    def run(stage: str, *options: str) -> None:
        assert main([stage, "--study", str(folder), *options]) == 0

    for stage in ("write_manifests", "draw_scenes", "corrupt_images", "reword_questions", "locate_patches"):
        run(stage)
    for backbone in settings:
        run("answer_questions", "--backbone", backbone)
    for stage in ("measure_costs", "score_answers", "write_report"):
        run(stage)
    require_scores(folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llava15_pope", "idefics_gqa"])
def test_a_ready_study_runs_under_dvc(name: str, tmp_path: Path) -> None:
    """Not BLIP-2's: its small text tower is known to the tests' own process alone."""
    project = new_project(tmp_path / "project")
    folder = project / "studies" / name
    folder.mkdir(parents=True)
    shutil.copy(PROJECT / f"studies/{name}/dvc.yaml", folder)
    family = {"llava15_pope": "llava", "idefics_gqa": "flamingo"}[name]
    ready(name, folder, saved(family, project / "data/backbones/small"), "../..")
    repro(folder)
    require_scores(folder)
