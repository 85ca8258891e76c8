"""POPE's questions on other pictures than the published ones: its construction, from COCO's annotations.

Li et al., 2023; AoiDragon/POPE `main.py`, `utils.py`. Of the pictures with three or more objects as many are drawn as a
study takes; each is asked for three of its objects and, in each sampling, for three that it lacks: any at `random`, the
most `popular` of the drawn pictures, and those that most often accompany the present ones there (`adversarial`).

The official code draws without a seed, takes the first three objects of a list whose order its authors do not explain,
and asks about the `imange` before a vowel. Here a seed decides what is drawn, the three objects among it, and the
misprint is left out, as in the published files. All else is the official construction, in ties, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from pruneproof.benchmarks import Benchmark, Card, Need, Request
from pruneproof.benchmarks._coco import (
    Instances,
    annotations_of_2014,
    object_rows,
    pictures_of_val2014,
    read_captions,
    read_instances,
)
from pruneproof.benchmarks._existence import question, sample
from pruneproof.benchmarks._lexicon import lexicon_need, read_lexicon
from pruneproof.benchmarks._samplings import PAIRS, SAMPLINGS, CoOccurrence, Splits
from pruneproof.benchmarks._subset import drawn, without_missing
from pruneproof.mentions.objects import Lexicon, in_picture
from pruneproof.records import Sample
from pruneproof.seeds import generator
from pruneproof.settings import Frozen

CARD = Card(
    title="POPE from COCO",
    source="Built as in Li et al., Evaluating Object Hallucination in Large Vision-Language Models, EMNLP 2023 "
    "(https://github.com/AoiDragon/POPE), from COCO's instances and captions (https://cocodataset.org)",
    licence="Annotations: CC BY 4.0. Pictures: from Flickr under their owners' terms "
    "(https://cocodataset.org/#termsofuse)",
    size="As many as asked for of the pictures of COCO val2014 with three or more objects; officially 500, with 3,000 "
    "questions in each of three samplings",
    scored_by="Accuracy, precision, recall, F1 and share of yes by POPE's own rule (`evaluate.py`), beside it as "
    "lmms-eval and VLMEvalKit read the same text",
)


class Options(Frozen):
    """What the questions are made of."""

    instances: str = "annotations/instances_val2014.json"
    """COCO's objects, in `benchmark.folder`."""
    captions: str = "annotations/captions_val2014.json"
    """COCO's captions, which name objects that nobody segmented; empty for the segmented ones alone."""
    synonyms: str = "synonyms.txt"
    """CHAIR's list, by which captions are read, or a folder with WordNet's dictionary, to derive another list from; not
    read without captions."""
    pictures: str = "val2014"
    """Folder of the pictures, in `benchmark.folder`."""
    splits: Splits = SAMPLINGS
    """Samplings to ask."""
    pairs: Annotated[int, Field(ge=1)] = PAIRS
    """Present and absent objects per picture in each sampling (`--sample_num`); pictures with fewer objects are left
    out."""
    masks: bool = True
    """Whether the objects that are asked for come with their outlines, 38 kB for each of 640 x 480 pixels, or with
    their boxes alone. `occlusion_object` and the share of tokens kept on the target go by them."""


@dataclass(frozen=True, slots=True)
class _Scene:
    """A picture that is asked about."""

    id: int
    file: str
    present: tuple[str, ...]
    """Its objects, the first of which are asked for."""


def needs(options: Options) -> tuple[Need, ...]:
    """COCO's annotations and pictures, and the synonyms that captions are read by."""
    captions = (annotations_of_2014(options.captions), lexicon_need(options.synonyms)) if options.captions else ()
    return (annotations_of_2014(options.instances), *captions, pictures_of_val2014(options.pictures))


def build(request: Request, options: Options) -> Benchmark:
    """Draw pictures and ask about them.

    Args:
        request: how many pictures, the seed, and where the files lie.
        options: what the questions are made of.

    Raises:
        PruneProofError: if a file is not the right one, or the synonyms lack a category.
    """
    source = request.folder / options.instances
    instances = read_instances(source, request.faults)
    known = read_lexicon(request.folder / options.synonyms) if options.captions else {}
    written = read_captions(request.folder / options.captions, request.faults) if options.captions else {}
    scenes = _drawn(instances, _present(instances, written, known), request, options)
    together = CoOccurrence([scene.present for scene in scenes], _classes(instances, known), ties="seen")
    images: list[dict[str, Any]] = []
    objects: list[dict[str, Any]] = []
    samples: list[Sample] = []
    for scene in scenes:
        picture = instances.pictures[scene.id].entry
        row = {"image_id": scene.file, "group": "", "width": picture.width, "height": picture.height}
        images.append(row | {"file": f"{options.pictures}/{scene.file}"})
        asked = scene.present[: options.pairs] if options.masks else ()
        rows = object_rows(instances, scene.id, known, asked, request.faults)
        objects += rows
        samples += _questions(scene, together, rows, request.seed, options)
    return Benchmark(tuple(images), tuple(objects), tuple(samples))


def _present(instances: Instances, written: Mapping[int, Sequence[str]], known: Lexicon) -> dict[int, list[str]]:
    """The classes in each picture, sorted."""
    found = {}
    for number in instances.pictures:
        categories = [instances.names[item.entry.category_id] for item in instances.objects.get(number, ())]
        found[number] = sorted(in_picture(categories, written.get(number, ()), known) if known else set(categories))
    return found


def _classes(instances: Instances, known: Lexicon) -> list[str]:
    return sorted({known.get(name, name) for name in instances.names.values()})


def _drawn(
    instances: Instances, present: Mapping[int, Sequence[str]], request: Request, options: Options
) -> list[_Scene]:
    """The pictures of a study, each with its objects in an order of its own."""
    numbers = {
        item.entry.file_name: number
        for number, item in instances.pictures.items()
        if len(present[number]) >= options.pairs
    }
    noun = f"pictures with {options.pairs} or more kinds of objects"
    files = drawn(numbers, request, request.folder / options.instances, noun)
    named = [(f"{options.pictures}/{file}", instances.pictures[numbers[file]]) for file in files]
    there = set(without_missing(named, request))
    scenes = []
    for file in files:
        if f"{options.pictures}/{file}" in there:
            names = present[numbers[file]]
            order = generator(request.seed, "objects", file).permutation(len(names))
            scenes.append(_Scene(numbers[file], file, tuple(names[i] for i in order)))
    return scenes


def _questions(
    scene: _Scene, together: CoOccurrence, rows: Sequence[Mapping[str, Any]], seed: int, options: Options
) -> list[Sample]:
    """Present and absent objects by turns, in each sampling."""
    positives = scene.present[: options.pairs]
    chosen = {
        split: together.absent(split, scene.present, positives, generator(seed, "absent", split, scene.file))
        for split in options.splits
    }
    absent = tuple(dict.fromkeys(noun for nouns in chosen.values() for noun in nouns))
    shown = {noun: tuple(row["object_id"] for row in rows if row["noun"] == noun) for noun in positives}
    samples = []
    for split, nouns in chosen.items():
        turns = [noun for pair in zip(positives, nouns, strict=False) for noun in pair]
        for number, noun in enumerate(turns, start=1):
            there = noun in positives
            samples.append(
                sample(scene.file, split, number, question(noun), there, absent, shown[noun] if there else ())
            )
    return samples
