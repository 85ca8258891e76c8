"""POPE's official questions on COCO pictures: is there such an object in the image?

Li et al., 2023 (arXiv 2305.10355). A sampling, or split, is a file of JSON lines

    {"question_id": 1, "image": "COCO_val2014_000000310196.jpg", "text": "Is there a ...", "label": "yes"}

with three present and three absent objects for each of 500 pictures, the same pictures and present objects in all three
files. Of their 9,000 rows 5,127 ask something new; each is answered once and counts in every split that has it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pruneproof.benchmarks import Benchmark, Card, Need, Request
from pruneproof.benchmarks._coco import annotations_of_2014, object_rows, pictures_of_val2014, read_instances
from pruneproof.benchmarks._existence import asked, sample
from pruneproof.benchmarks._faults import Faults
from pruneproof.benchmarks._official import Entry, FileName, Found, Text, read_lines, unique
from pruneproof.benchmarks._samplings import SAMPLINGS, Sampling, Splits
from pruneproof.benchmarks._subset import drawn, without_missing
from pruneproof.records import Sample
from pruneproof.settings import Frozen

CARD = Card(
    title="POPE",
    source="Li et al., Evaluating Object Hallucination in Large Vision-Language Models, EMNLP 2023; "
    "https://github.com/AoiDragon/POPE",
    licence="Questions: MIT. Pictures: COCO val2014, from Flickr under their owners' terms "
    "(https://cocodataset.org/#termsofuse)",
    size="500 pictures, 3,000 questions in each of three samplings, 5,127 different ones in all; in the version that "
    "LLaVA's numbers come from 2,910 in `random`",
    scored_by="Accuracy, precision, recall, F1 and share of yes by POPE's own rule (`evaluate.py`), beside it as "
    "lmms-eval and VLMEvalKit read the same text",
)

Version = Literal["109985c", "e3e3926", "own"]

_COMMITS = {
    "109985c": "109985c74a00a88ba5341f9b0c1d4900f2a1f789",
    "e3e3926": "e3e39262c85a6a83f26cf5094022a782cb0df58d",
}
_PUBLISHED: Mapping[tuple[str, str], tuple[int, str]] = {
    ("109985c", "random"): (368166, "ac25245170b975a5bdf9080b23fd431dfe6be458bc038259c1f4f09a6bef7994"),
    ("109985c", "popular"): (370190, "72c1a8ad45d0c13514f5f22598261df41d3b533854d29682e924db50ed8aa753"),
    ("109985c", "adversarial"): (370401, "420b3407db1fa9f1187a805dca41cb7b97fd91504e6c2179706188c107fb8ef8"),
    ("e3e3926", "random"): (360212, "c16b65d2df6d70bb0814c8a4375833d39cdb09928fd936d3fc546491efa37f35"),
    ("e3e3926", "popular"): (370234, "5b16653023bf4f64d57eb0d168259de6627f5cde7538b85ebed3cc33034aa6cc"),
    ("e3e3926", "adversarial"): (370459, "1d8f0906a9b50c05640f6f23abfac97523be2a1bed28f7eadc63b811699b2d26"),
}
"""Bytes and SHA-256 of the files at a commit."""

_NAME = "coco_pope_{}.json"


class Options(Frozen):
    """Which of the published questions are asked."""

    version: Version = "109985c"
    """Commit of the official files. `109985c` has what HEAD has. `e3e3926` is the one that LLaVA's documentation links
    to and its published numbers come from: 2,910 questions in `random`, where 90 absent objects are missing, and 246
    rows of the three files ask about the `imange`. `own` is for files of the same format that somebody else made."""
    splits: Splits = SAMPLINGS
    """Samplings to ask, each from `coco_pope_<split>.json`."""
    questions: str = "coco"
    """Folder of these files, in `benchmark.folder`."""
    pictures: str = "val2014"
    """Folder of the pictures, in `benchmark.folder`."""
    instances: str = ""
    """COCO's file of objects, such as `annotations/instances_val2014.json`, in `benchmark.folder`; empty for none. With
    it every object that is asked for has its outline, by which `occlusion_object` and the share of tokens kept on the
    target go."""


class Asked(Entry):
    """A line of an official file."""

    question_id: int
    image: FileName
    text: Text
    label: Literal["yes", "no"]


Row: TypeAlias = tuple[Sampling, Found[Asked]]


def needs(options: Options) -> tuple[Need, ...]:
    """The questions of each split, COCO's pictures, and its objects if they are wanted."""
    objects = (annotations_of_2014(options.instances),) if options.instances else ()
    return (*(_questions(split, options) for split in options.splits), pictures_of_val2014(options.pictures), *objects)


def build(request: Request, options: Options) -> Benchmark:
    """The questions on the pictures that a study takes.

    Args:
        request: how many pictures, and where the files lie; all questions on a picture that is taken are asked.
        options: which version and splits.
    """
    rows = [(split, row) for split in options.splits for row in _read(split, request, options)]
    first: dict[str, Found[Asked]] = {}
    for _, row in rows:
        first.setdefault(row.entry.image, row)
    chosen = drawn(first, request, request.folder / options.questions)
    paths = {image: f"{options.pictures}/{image}" for image in chosen}
    there = set(without_missing(((path, first[image]) for image, path in paths.items()), request))
    paths = {image: path for image, path in paths.items() if path in there}
    named = {split for split, _ in rows}
    rows = [(split, row) for split, row in _agreeing(rows, request.faults) if row.entry.image in paths]
    for split in sorted(named.difference(split for split, _ in rows)):
        request.faults.add(_file(split, request, options), f"no question of the split {split} is left to ask")
    absent: dict[str, dict[str, None]] = {image: {} for image in paths}
    present: dict[str, dict[str, None]] = {image: {} for image in paths}
    for _, row in rows:
        if noun := asked(row.entry.text):
            (present if row.entry.label == "yes" else absent)[row.entry.image][noun] = None
    sizes, objects = _objects(present, request, options)
    images = ({"image_id": image, "group": "", "file": path} | sizes.get(image, {}) for image, path in paths.items())
    shown: dict[tuple[str, str], tuple[int, ...]] = {}
    for object_row in objects:
        key = object_row["image_id"], object_row["noun"]
        shown[key] = (*shown.get(key, ()), object_row["object_id"])
    return Benchmark(tuple(images), objects, tuple(_sample(split, row.entry, absent, shown) for split, row in rows))


def _questions(split: Sampling, options: Options) -> Need:
    path = f"{options.questions}/{_NAME.format(split)}"
    if options.version == "own":
        return Need(path, "made by you, for one by `python -m pruneproof export_scenes --as pope`", 0)
    folder = f"https://raw.githubusercontent.com/AoiDragon/POPE/{_COMMITS[options.version]}/output/coco"
    size, digest = _PUBLISHED[options.version, split]
    return Need(path, f"{folder}/{_NAME.format(split)}", size, digest)


def _file(split: Sampling, request: Request, options: Options) -> Path:
    return request.folder / options.questions / _NAME.format(split)


def _read(split: Sampling, request: Request, options: Options) -> list[Found[Asked]]:
    return unique(read_lines(_file(split, request, options), Asked, request.faults), "question_id", request.faults)


def _agreeing(rows: list[Row], faults: Faults) -> list[Row]:
    """The rows without those that contradict an earlier one about an object of the same picture, which are noted."""
    first: dict[tuple[str, str], Found[Asked]] = {}
    kept = []
    for split, row in rows:
        entry = row.entry
        other = first.setdefault((entry.image, asked(entry.text) or entry.text), row)
        if other.entry.label == entry.label:
            kept.append((split, row))
        else:
            said = f"label is {entry.label!r}, but {other.entry.label!r} in {other.file}, {other.place}"
            row.note(faults, f"{said}, about the same in the same picture")
    return kept


def _objects(
    present: Mapping[str, Collection[str]], request: Request, options: Options
) -> tuple[dict[str, dict[str, int]], tuple[dict[str, Any], ...]]:
    """Sizes of the pictures that COCO lists, and their objects, with the outlines of those that are asked for."""
    if not options.instances:
        return {}, ()
    instances = read_instances(request.folder / options.instances, request.faults)
    sizes, rows = {}, []
    for number, item in instances.pictures.items():
        image = item.entry.file_name
        if image in present:
            sizes[image] = {"width": item.entry.width, "height": item.entry.height}
            rows += object_rows(instances, number, {}, present[image], request.faults)
    return sizes, tuple(rows)


def _sample(
    split: Sampling,
    entry: Asked,
    absent: Mapping[str, Iterable[str]],
    shown: Mapping[tuple[str, str], tuple[int, ...]],
) -> Sample:
    there = entry.label == "yes"
    targets = shown.get((entry.image, asked(entry.text)), ()) if there else ()
    return sample(entry.image, split, entry.question_id, entry.text, there, absent[entry.image], targets)
