"""POPE's questions: a file of JSON lines for each sampling, as AoiDragon/POPE `output/coco` has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pruneproof.benchmarks import Benchmark
from pruneproof.exporting import Export
from pruneproof.exporting._files import coco_name, numbers
from pruneproof.records import EXISTENCE

READERS: Mapping[str, Mapping[str, Any]] = {"pope": {"version": "own"}}


def export(scenes: Benchmark) -> Export:
    """`coco/coco_pope_<split>.json` and the pictures in `val2014`; everything but existence is left out."""
    names = {image: coco_name(number) for image, number in numbers(scenes).items()}
    files = {f"val2014/{names[row['image_id']]}": row["png"] for row in scenes.images}
    samples = tuple(sample for sample in scenes.samples if sample.kind == EXISTENCE)
    for split in dict.fromkeys(sample.split for sample in samples):
        lines = []
        for number, sample in enumerate((sample for sample in samples if sample.split == split), start=1):
            row = {"question_id": number, "image": names[sample.image_id], "text": sample.question}
            lines.append(json.dumps(row | {"label": sample.answer}) + "\n")
        files[f"coco/coco_pope_{split}.json"] = "".join(lines).encode()
    return Export(files, samples)
