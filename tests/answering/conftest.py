"""A study on disk of three images and a few questions, under every family of conditions, for the small LLaVA."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pruneproof.files import write_rows
from pruneproof.folders import Folders
from pruneproof.records import CORRUPTED, IMAGES, REWORDED, SAMPLES, Sample, sample_to_row
from pruneproof.settings import BackboneSettings, Study
from pruneproof.stored import columns

IMAGE_IDS = ("one", "two", "three")
NOUNS = ("dog", "car", "bus", "boat")
METHODS: dict[str, dict[str, Any]] = {
    "full": {"method": "full"},
    "random_25": {"method": "random", "keep": 0.25},
    "atp_25": {"method": "atp", "keep": 0.25},
    "attention_25": {"method": "atp", "keep": 0.25, "alpha": 0.0},
}


def png(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (56, 56, 3), dtype=np.uint8)
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "png")
    return stream.getvalue()


def samples() -> list[Sample]:
    """On each image four nouns, the last in two POPE splits, and a caption."""
    rows = []
    for image_id in IMAGE_IDS:
        asked = [(noun, "random") for noun in NOUNS] + [(NOUNS[-1], "popular")]
        rows += [
            Sample(f"{image_id}/{noun}/{split}", image_id, "existence", f"is there a {noun} here?", "no", split)
            for noun, split in asked
        ]
        rows.append(Sample(f"{image_id}/caption", image_id, "caption", "describe the image.", "a dog.", asks="caption"))
    return rows


@pytest.fixture
def study(llava_settings: BackboneSettings, llava_root: Path) -> Study:
    return Study.model_validate(
        {
            "study": {"name": "small", "root": str(llava_root), "seed": 1},
            "perturbations": {
                "image": {"names": ["gaussian_noise"], "severities": [1, 3]},
                "text": {"names": ["typo_swap"], "severities": [2]},
            },
            "backbones": {"tiny": llava_settings.model_dump()},
            "methods": METHODS,
            "answering": {"caption_conditions": ["clean"]},
            "scoring": {"baseline": "full"},
            "costs": {"images": 2, "repeats": 3},
        }
    )


@pytest.fixture(scope="session")
def _inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folders = Folders(tmp_path_factory.mktemp("inputs"))
    images = [
        {"image_id": image_id, "group": "", "width": 56, "height": 56, **columns(png(i))}
        for i, image_id in enumerate(IMAGE_IDS)
    ]
    write_rows(folders.benchmark / "images.parquet", images, IMAGES)
    write_rows(folders.benchmark / "samples.parquet", [sample_to_row(s) for s in samples()], SAMPLES)
    for severity in (1, 3):
        rows = [
            {"image_id": image_id, **columns(png(10 * severity + i)), "error": ""}
            for i, image_id in enumerate(IMAGE_IDS)
        ]
        if severity == 3:
            rows[1] = {"image_id": "two", "png": None, "sha256": "", "error": "truncated"}
        write_rows(folders.corrupted / f"gaussian_noise_{severity}.parquet", rows, CORRUPTED)
    reworded = [
        {
            "sample_id": sample.sample_id,
            "perturbation": "typo_swap",
            "severity": 2,
            "original": sample.question,
            "text": sample.question.replace("there", "htere"),
            "edit_distance": 1,
            "accepted": "car" not in sample.sample_id,
            "reason": "the gate said so" if "car" in sample.sample_id else "",
        }
        for sample in samples()
        if sample.kind != "caption"
    ]
    write_rows(folders.reworded / "questions.parquet", reworded, REWORDED)
    return folders.study


@pytest.fixture
def folders(_inputs: Path, tmp_path: Path) -> Folders:
    """A fresh copy of the inputs."""
    shutil.copytree(_inputs, tmp_path / "study")
    return Folders(tmp_path / "study")


@pytest.fixture(autouse=True)
def one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNEPROOF_WORKERS", "1")
    monkeypatch.setenv("PRUNEPROOF_DEVICE", "cpu")


@pytest.fixture
def answer(study: Study, folders: Folders) -> Callable[..., bytes]:
    """Run the stage with one method alone and give the bytes of its answers."""
    from pruneproof.answering import stage

    def run(method: str, study: Study = study, folders: Folders = folders) -> bytes:
        alone = study.model_copy(update={"methods": {method: study.methods[method]}})
        stage.run(alone, folders, backbone="tiny")
        return folders.answers_of("tiny", method).read_bytes()

    return run
