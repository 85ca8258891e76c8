"""The scenes, written as official files and read as such: the same answers get the same scores."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pruneproof import files
from pruneproof.answering.grid import read_asking
from pruneproof.benchmarks import Benchmark, build
from pruneproof.benchmarks import stage as benchmarks
from pruneproof.exporting import Export, coco, gqa, pope, vqav2
from pruneproof.folders import Folders
from pruneproof.mentions.objects import lexicon, mentioned
from pruneproof.perturbations.images import stage as images
from pruneproof.perturbations.text import stage as text
from pruneproof.pictures import read_mask, read_picture
from pruneproof.records import ANSWERS, LOGITS, PATCHES, Sample, sample_from_row
from pruneproof.scoring import stage as scoring
from pruneproof.scoring.scorers import Truth
from pruneproof.scoring.scorers import gqa as gqa_rule
from pruneproof.scoring.scorers import values as scenes_rule
from pruneproof.scoring.scorers import vqa as vqa_rule
from pruneproof.settings import Study

IMAGES, SIDE, SEED = 6, 224, 11
Said = Callable[[int, Sample], str]
"""What a made-up model says, by number of the picture and question: the same for scenes and files."""


def study(name: str = "scenes", folder: str = "", options: Mapping[str, Any] | None = None, **scoring: Any) -> Study:
    return Study.model_validate(
        {
            "study": {"name": "there_and_back", "seed": SEED},
            "benchmark": {"name": name, "images": IMAGES, "folder": folder, "options": dict(options or {})},
            "backbones": {"b": {"family": "llava", "checkpoint": "b", "text_tower": "clip"}},
            "methods": {"full": {"method": "full"}},
            "scoring": {"resamples": 100, **scoring},
        }
    )


@pytest.fixture(scope="module")
def scenes() -> Benchmark:
    return build(study().benchmark, SEED, Path())


def written(export: Export, folder: Path) -> str:
    for path, content in export.files.items():
        files.write_bytes(folder / path, content)
    return str(folder)


def number_of(image_id: str) -> int:
    """The last number of a picture's name."""
    return int(re.findall(r"\d+", image_id)[-1])


def scored(study: Study, place: Path, said: Said) -> pd.DataFrame:
    """The study's clean scores, by metric."""
    folders = Folders(place)
    for stage in (benchmarks, images, text):
        stage.run(study, folders)
    boxes = [{"width": SIDE, "height": SIDE, "boxes": [0, 0, SIDE, SIDE]}]
    files.write_rows(folders.patches / "b.parquet", boxes, PATCHES)
    files.write_text(folders.costs / "flops.csv", "backbone,method,component,flops\n")
    samples = {row["sample_id"]: sample_from_row(row) for row in files.read_rows(folders.benchmark / "samples.parquet")}
    rows = []
    (clean,) = read_asking(study, folders, by_question=False).rows
    for row in clean.table.to_pylist():
        sample = samples[row["sample_id"]]
        counts = dict.fromkeys(("visual_tokens", "input_tokens", "mean_tokens", "sequence_length"), 1)
        answer = {"text": said(number_of(sample.image_id), sample), "kept": [0], "yes_logit": 1.0, "no_logit": 0.0}
        rows.append(row | counts | answer)
    for path, schema in ((folders.answers_of, ANSWERS), (folders.logits_of, LOGITS)):
        files.write_rows(path("b", "full"), [{name: row[name] for name in schema.names} for row in rows], schema)
    scoring.run(study, folders)
    summary = pd.read_csv(folders.scores / "summary.csv")
    return summary[summary["family"] == "clean"].set_index("metric")[["value", "low", "high", "n"]]


COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "white")
WRONG = {"yes": "no", "no": "yes", "left": "right", "right": "left", "above": "below", "below": "above"}
WRONG |= {"1": "2", "2": "3", "3": "4", "4": "1"} | dict(zip(COLOURS, COLOURS[1:] + COLOURS[:1], strict=True))


def saying(scenes: Benchmark) -> Said:
    """Says the truth seven times out of ten, else the truth of another question; in the words of true answers."""
    truths = {(number_of(sample.image_id), sample.question): sample.answer for sample in scenes.samples}
    rng = np.random.default_rng(3)
    texts = {key: WRONG.get(truth, "") if rng.random() < 0.3 else truth for key, truth in truths.items()}
    return lambda number, sample: texts[number, sample.question]


def same(there: pd.DataFrame, back: pd.DataFrame, metrics: Mapping[str, str]) -> None:
    """Values, intervals and counts of metrics of the scenes and of the files are the same, and not all 0 or 100."""
    ours, theirs = there.loc[list(metrics)], back.loc[list(metrics.values())]
    pd.testing.assert_frame_equal(ours.reset_index(drop=True), theirs.reset_index(drop=True))
    assert ours["value"].between(1, 99).any()


def test_pope(scenes: Benchmark, tmp_path: Path) -> None:
    """Every metric of every split, in all the ways in which a model may write yes and no."""
    texts = ("yes", "No, there is not.", "NO", "", "Yes. No.", "There is no", "not sure", "Nope")
    rng = np.random.default_rng(5)
    texts_of: dict[tuple[int, str], str] = defaultdict(lambda: texts[int(rng.integers(len(texts)))])

    def said(number: int, sample: Sample) -> str:
        return texts_of[number, sample.question]

    there = scored(study(kinds=["existence"]), tmp_path / "there", said)
    folder = written(pope.export(scenes), tmp_path / "files")
    back = scored(study("pope", folder, pope.READERS["pope"]), tmp_path / "back", said)
    names = [name for name in there.index if name.startswith("pope/")]
    assert {f"pope/{score}_{split}" for score in ("accuracy", "f1") for split in ("random", "adversarial")} <= {*names}
    same(there, back, {name: name for name in (*names, "accuracy/all")})


def test_vqav2(scenes: Benchmark, tmp_path: Path) -> None:
    """Accuracy over all questions is the scenes', by their own rule and by the official one."""
    there = scored(study(), tmp_path / "there", saying(scenes))
    folder = written(vqav2.export(scenes), tmp_path / "files")
    back = scored(study("vqav2", folder, vqav2.READERS["vqav2"]), tmp_path / "back", saying(scenes))
    same(there, back, {"accuracy/all": "accuracy/all", "accuracy/count": "accuracy/number"})
    assert back.loc["vqa/accuracy", "value"] == there.loc["accuracy/all", "value"]


def test_gqa(scenes: Benchmark, tmp_path: Path) -> None:
    kinds = ["existence", "colour", "relation", "compositional"]
    there = scored(study(kinds=kinds), tmp_path / "there", saying(scenes))
    folder = written(gqa.export(scenes), tmp_path / "files")
    back = scored(study("gqa", folder, gqa.READERS["gqa"]), tmp_path / "back", saying(scenes))
    pairs = {"accuracy/all": "accuracy/all", "accuracy/colour": "accuracy/query"}
    same(there, back, pairs | {"accuracy/compositional": "accuracy/compare"})
    assert back.loc["gqa/accuracy", "value"] == there.loc["accuracy/all", "value"]
    assert back.loc["gqa/open", "value"] == there.loc["accuracy/colour", "value"]


def test_captions(scenes: Benchmark, tmp_path: Path) -> None:
    """CHAIR by the official list of synonyms, quirks included, is CHAIR by the scenes' vocabulary."""
    words = [form for forms in scenes.shared["vocabulary"].values() for form in forms if " " not in form]
    rng = np.random.default_rng(7)
    invented = [f"A {a}, two {b} and {c}." for a, b, c in rng.choice(words, (IMAGES, 3))]
    truths = {number_of(sample.image_id): sample.answer for sample in scenes.samples if sample.asks == "caption"}

    def said(number: int, sample: Sample) -> str:
        if sample.asks == "answer":
            return "yes"
        return truths[number].split(",")[0] if number % 2 else f"{truths[number]}. {invented[number]}"

    there = scored(study(), tmp_path / "there", said)
    folder = written(coco.export(scenes), tmp_path / "files")
    options = {**coco.READERS["coco_captions"], "tokens": "plain"}
    back = scored(study("coco_captions", folder, options), tmp_path / "back", said)
    same(there, back, {name: name for name in ("chair/i", "chair/s", "chair/recall")})


def test_every_class_is_found_in_captions(scenes: Benchmark) -> None:
    """Each form by itself, through CHAIR's code; two words it does not put together."""
    known = lexicon(coco.export(scenes).files["synonyms.txt"].decode())
    for name, forms in scenes.shared["vocabulary"].items():
        for form in forms:
            assert mentioned(f"here is one {form}.", known) == ([] if " " in form else [name])


def test_questions_made_from_coco_agree_with_what_was_drawn(scenes: Benchmark, tmp_path: Path) -> None:
    """Truths, boxes, and outlines pixel by pixel."""
    folder = written(coco.export(scenes), tmp_path)
    made = build(study("pope_from_coco", folder).benchmark, 4, Path())
    drawn: dict[int, dict[int, Mapping[str, Any]]] = {number: {} for number in range(IMAGES)}
    for row in scenes.objects:
        drawn[number_of(row["image_id"])][row["object_id"]] = row
    assert len(made.samples) == 3 * 6 * IMAGES
    for sample in made.samples:
        nouns = {row["noun"] for row in drawn[number_of(sample.image_id)].values()}
        assert sample.answer == ("yes" if sample.target in nouns else "no")
    outlined = [row for row in made.objects if row["mask"]]
    assert outlined
    for row in outlined:
        own = drawn[number_of(row["image_id"])][row["object_id"]]
        assert [row[name] for name in ("noun", "x0", "y0", "x1", "y1")] == [
            own[name] for name in ("noun", "x0", "y0", "x1", "y1")
        ]
        assert (read_mask(row["mask"]) == read_mask(own["mask"])).all()


@pytest.mark.parametrize("member", [pope, vqav2, gqa, coco])
def test_pictures_are_the_same_pixel_by_pixel(member: Any, scenes: Benchmark, tmp_path: Path) -> None:
    folder = written(member.export(scenes), tmp_path)
    own = {number_of(row["image_id"]): row["png"] for row in scenes.images}
    for name, options in member.READERS.items():
        made = build(study(name, folder, options).benchmark, SEED, Path())
        assert {number_of(row["image_id"]) for row in made.images} == set(own)
        for row in made.images:
            shown = read_picture((tmp_path / row["file"]).read_bytes())
            assert np.array_equal(shown, read_picture(own[number_of(row["image_id"])]))


@pytest.mark.parametrize(("truth", "text"), [("3", "three"), ("red", "Red."), ("left", "on the left")])
def test_where_the_official_rules_are_stricter_than_the_scenes_own(truth: str, text: str) -> None:
    """What the equality above cannot hold for: ten equal answers switch VQAv2's normalisation off, and GQA has none."""
    for rule, answers, mark in ((scenes_rule, (truth,), 1), (vqa_rule, (truth,) * 10, 0), (gqa_rule, (truth,), 0)):
        held = Truth(answers)
        assert rule.mark(rule.read(text, held).prediction, held) == mark
