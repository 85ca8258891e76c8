"""COCO's annotations of val2014: objects with their outlines, a caption of each picture, and CHAIR's list of synonyms.

The objects are the scenes' classes. CHAIR's code looks words up in the singular, as pattern forms it, so that it never
finds a `bus` (`bu`); the list holds those singulars as well. Synonyms of two words, such as `sailing boat`, it does not
find: it merges those of COCO's classes alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pruneproof.benchmarks import Benchmark
from pruneproof.benchmarks.scenes.benchmark import LICENCE
from pruneproof.benchmarks.scenes.vocabulary import BY_NAME
from pruneproof.exporting import Export
from pruneproof.exporting._files import INFO, coco_name, numbers, to_json
from pruneproof.mentions.singular import singular
from pruneproof.pictures import Mask, read_mask

READERS: Mapping[str, Mapping[str, Any]] = {"coco_captions": {"split": "val2014"}, "pope_from_coco": {}}


def export(scenes: Benchmark) -> Export:
    """`annotations/instances_val2014.json` and `captions_val2014.json`, `synonyms.txt`, and the pictures in `val2014`.

    Of the questions it is the captions, one a picture; official files have five.
    """
    number_of = numbers(scenes)
    files = {f"val2014/{coco_name(number_of[row['image_id']])}": row["png"] for row in scenes.images}
    pictures = [
        {"id": number_of[row["image_id"]], "file_name": coco_name(number_of[row["image_id"]])}
        | {"width": row["width"], "height": row["height"], "license": 1}
        for row in scenes.images
    ]
    samples = tuple(sample for sample in scenes.samples if sample.asks == "caption")
    captions = [
        {"id": number, "image_id": number_of[sample.image_id], "caption": sample.answer}
        for number, sample in enumerate(samples, start=1)
    ]
    vocabulary: Mapping[str, Sequence[str]] = scenes.shared["vocabulary"]
    categories = {name: number for number, name in enumerate(vocabulary, start=1)}
    head = {"info": INFO, "licenses": [{"id": 1, "name": LICENCE}], "images": pictures}
    instances = {
        "annotations": list(_objects(scenes, number_of, categories)),
        "categories": [
            {"id": number, "name": name, "supercategory": BY_NAME[name].theme} for name, number in categories.items()
        ],
    }
    files["synonyms.txt"] = "".join(f"{_synonyms(name, forms)}\n" for name, forms in vocabulary.items()).encode()
    files["annotations/instances_val2014.json"] = to_json(head | instances)
    files["annotations/captions_val2014.json"] = to_json(head | {"annotations": captions})
    return Export(files, samples)


def runs(mask: Mask) -> list[int]:
    """Lengths of runs outside and inside by turns, column by column, as COCO's uncompressed run-length code has them.

    Args:
        mask: (height, width).
    """
    column = np.concatenate(([False], mask.T.ravel()))
    edges = np.flatnonzero(column[1:] != column[:-1])
    ends: list[int] = np.diff([0, *edges, mask.size]).tolist()
    return ends


def _objects(
    scenes: Benchmark, number_of: Mapping[str, int], categories: Mapping[str, int]
) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(scenes.objects, start=1):
        mask = read_mask(row["mask"])
        yield {
            "id": number,
            "image_id": number_of[row["image_id"]],
            "category_id": categories[row["noun"]],
            "bbox": [row["x0"], row["y0"], row["x1"] - row["x0"], row["y1"] - row["y0"]],
            "area": int(mask.sum()),
            "iscrowd": 0,
            "segmentation": {"counts": runs(mask), "size": list(mask.shape)},
        }


def _synonyms(name: str, forms: Sequence[str]) -> str:
    """A line of CHAIR's list: the class, then its other forms and what CHAIR makes of them."""
    found = [name, singular(name)]
    for form in forms:
        found += [form] if " " in form else [form, singular(form)]
    return ", ".join(dict.fromkeys(found))
