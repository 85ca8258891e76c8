"""A small synthetic study on disk: six images, every kind of question, three methods, four conditions."""

from __future__ import annotations

import shutil
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageDraw

from pruneproof.files import read_rows, write_json, write_rows, write_table, write_text
from pruneproof.folders import Folders
from pruneproof.records import (
    ANSWERS,
    CLEAN,
    IMAGES,
    LOGITS,
    OBJECTS,
    PATCHES,
    SAMPLES,
    Condition,
    Sample,
    sample_to_row,
)
from pruneproof.scoring.stage import run
from pruneproof.settings import Study
from pruneproof.stored import columns

NOUNS = ("dog", "car", "bus", "kite")
CONDITIONS = (
    CLEAN,
    Condition("image", "gaussian_noise", 1),
    Condition("image", "gaussian_noise", 3),
    Condition("text", "typo_swap", 1),
)
METHODS = {"full": 16, "thin": 8, "thinner": 4}
"""Method -> tokens kept of 16."""
FLOPS = {"full": 1000, "thin": 700, "thinner": 550}
"""Method -> FLOPs of one question."""


def samples() -> list[Sample]:
    """Every image holds the first two nouns; absent ones come back in several splits, as in POPE.

    A model that sees nothing is right about 4.5 of 8 different questions: two of three on existence, the count, and
    half of the rest but a quarter of the relations.
    """
    result = []
    for number in range(6):
        image = f"scene_{number}"
        for split, absent in (("random", "kite"), ("popular", "bus"), ("adversarial", "bus")):
            for index, (noun, truth) in enumerate((("dog", "yes"), (absent, "no"))):
                question = f"Is there a {noun} in the image?"
                target = (0,) if truth == "yes" else ()
                name = f"{image}/existence/{split}/{index}"
                result.append(
                    Sample(
                        name, image, "existence", question, truth, split, "singular", noun, target, scorers=("pope",)
                    )
                )
        for kind, truth, detail in (
            ("colour", "red" if number % 2 else "blue", ""),
            ("count", "3", ""),
            ("relation", "left" if number % 2 else "right", "horizontal"),
            ("relation", "above" if number % 2 else "below", "vertical"),
            ("compositional", "yes" if number % 2 else "no", ""),
        ):
            name = f"{image}/{kind}/{detail or 0}"
            result.append(Sample(name, image, kind, f"{kind} {detail}?", truth, "", detail, "car", (1,)))
        facts = {"objects": list(NOUNS[:2])}
        caption = Sample(f"{image}/caption/0", image, "caption", "Describe.", "a dog and a car", scorers=("chair",))
        result.append(replace(caption, facts=facts, asks="caption"))
    return result


def mask(box: tuple[int, int, int, int], size: tuple[int, int] = (32, 32)) -> bytes:
    """A 1-bit PNG that is white inside `box` (x1 and y1 exclusive)."""
    picture = Image.new("1", size)
    ImageDraw.Draw(picture).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=1)
    content = BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def answers_table(method: str, rng: np.random.Generator) -> pa.Table:
    """Answers that are wrong at random, more often when perturbed; one text question in five was rejected."""
    wrong = {"yes": "No", "no": "Yes it is", "red": "blue or red", "blue": "blue or red", "3": "two"}
    wrong |= {"left": "right", "right": "left", "above": "under", "below": "on top"}
    written = {"yes": "Yes", "no": "no.", "3": "There are three.", "left": "on the left"}
    rows = []
    for condition in CONDITIONS:
        for index, sample in enumerate(samples()):
            if condition.family == "text" and (index % 5 == 1 or sample.kind == "caption"):
                continue
            if sample.kind == "caption":
                if condition.severity == 3:
                    continue
                named = rng.choice(("a dog", "two cars", "a bus", "kites and kites", "nothing"), 2, replace=False)
                text = " with ".join(named)
            elif rng.random() < 0.95 - 0.14 * condition.severity:
                text = written.get(sample.answer, sample.answer)
            else:
                text = wrong[sample.answer]
            kept = sorted(rng.choice(16, METHODS[method], replace=False).tolist())
            rows.append(
                {
                    "family": condition.family,
                    "perturbation": condition.perturbation,
                    "severity": condition.severity,
                    "sample_id": sample.sample_id,
                    "text": text,
                    "kept": kept,
                    "visual_tokens": len(kept),
                    "input_tokens": len(kept),
                    "mean_tokens": float(len(kept)),
                    "sequence_length": len(kept) + 9,
                }
            )
    return pa.Table.from_pylist(rows, schema=ANSWERS)


def logits_table(answers: pa.Table, rng: np.random.Generator) -> pa.Table:
    """Logits that mostly agree with the answer."""
    said = np.array([text.lower().startswith("yes") for text in answers["text"].to_pylist()])
    yes = rng.normal(np.where(said, 1.0, -1.0)).astype(np.float32)
    columns = [*(answers[name] for name in ("family", "perturbation", "severity", "sample_id")), yes, -yes]
    return pa.table([pa.array(c) if isinstance(c, np.ndarray) else c for c in columns], schema=LOGITS)


def write_study(folder: Path) -> Folders:
    folders = Folders(folder)
    names = [f"scene_{number}" for number in range(6)]
    images = [{"image_id": name, "group": "street", "width": 32, "height": 32, **columns(b"")} for name in names]
    objects = [
        {"image_id": name, "object_id": number, "noun": noun, "colour": "red"}
        | {"x0": 8.0 * number, "y0": 0.0, "x1": 8.0 * number + 8, "y1": 16.0}
        | {"mask": mask((8 * number, 0, 8 * number + 8, 16))}
        for name in names
        for number, noun in enumerate(NOUNS[:2])
    ]
    write_rows(folders.benchmark / "samples.parquet", [sample_to_row(sample) for sample in samples()], SAMPLES)
    write_rows(folders.benchmark / "images.parquet", images, IMAGES)
    write_rows(folders.benchmark / "objects.parquet", objects, OBJECTS)
    edges = [edge for y in range(0, 32, 8) for x in range(0, 32, 8) for edge in (x, y, x + 8, y + 8)]
    write_rows(folders.patches / "tiny.parquet", [{"width": 32, "height": 32, "boxes": edges}], PATCHES)
    flops = "".join(f"tiny,{method},{part},{n // 2}\n" for method, n in FLOPS.items() for part in ("prefill", "decode"))
    write_text(folders.costs / "flops.csv", f"backbone,method,component,flops\n{flops}")
    plurals = {"bus": "buses"}
    write_json(folders.benchmark / "shared.json", {"vocabulary": {n: [n, plurals.get(n, f"{n}s")] for n in NOUNS}})
    rng = np.random.default_rng(3)
    for method in METHODS:
        table = answers_table(method, rng)
        write_table(folders.answers_of("tiny", method), table)
        write_table(folders.logits_of("tiny", method), logits_table(table, np.random.default_rng(4)))
    return folders


def widen(folders: Folders) -> None:
    """Make the pictures 64 x 32: the dog from 0 to 8 in x and the car from 16 to 24, without masks."""
    path = folders.benchmark / "images.parquet"
    write_rows(path, [row | {"width": 64} for row in read_rows(path)], IMAGES)
    path = folders.benchmark / "objects.parquet"
    left = {"dog": 0.0, "car": 16.0}
    rows = [row | {"mask": b"", "x0": left[row["noun"]], "x1": left[row["noun"]] + 8} for row in read_rows(path)]
    write_rows(path, rows, OBJECTS)


@pytest.fixture(scope="session")
def _written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("answered")).study


@pytest.fixture
def folders(_written: Path, tmp_path: Path) -> Folders:
    """A fresh copy of the study."""
    shutil.copytree(_written, tmp_path, dirs_exist_ok=True)
    return Folders(tmp_path)


@pytest.fixture(scope="session")
def scored(study: Study, _written: Path, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """A copy that was scored, to read and not to change."""
    folder = tmp_path_factory.mktemp("scored")
    shutil.copytree(_written, folder, dirs_exist_ok=True)
    run(study, Folders(folder))
    return Folders(folder)


@pytest.fixture(scope="session")
def study() -> Study:
    """Its settings."""
    return Study.model_validate(
        {
            "study": {"name": "tiny", "seed": 5},
            "perturbations": {
                "image": {"names": ["gaussian_noise"], "severities": [1, 3]},
                "text": {"names": ["typo_swap"], "severities": [1]},
            },
            "backbones": {"tiny": {"family": "llava", "checkpoint": "x", "text_tower": "x"}},
            "methods": {
                "thin": {"method": "random", "keep": 0.5},
                "full": {"method": "full"},
                "thinner": {"method": "random", "keep": 0.25},
            },
            "scoring": {"resamples": 400, "primary": ["thin", "thinner"]},
        }
    )
