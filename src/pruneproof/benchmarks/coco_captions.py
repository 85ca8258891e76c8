"""COCO's captions: a description of each picture, held against what five people wrote about it.

Chen et al., 2015 (arXiv 1504.00325). Published numbers are mostly on the 5,000 test pictures of Karpathy's split, whose
file has the captions as well:

    {"images": [{"filename": "COCO_val2014_000000391895.jpg", "cocoid": 391895, "split": "test",
                 "sentences": [{"raw": "A man with a red helmet on ..."}, ...], ...}, ...], ...}

The official file of all pictures is `captions_val2014.json`. CHAIR's objects are those of `instances_val2014.json` and
those that the five captions mention.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from pruneproof.benchmarks import Benchmark, Card, Need, Request
from pruneproof.benchmarks._coco import (
    Caption,
    Picture,
    annotations_of_2014,
    pictures_of_val2014,
    read_instances,
)
from pruneproof.benchmarks._lexicon import lexicon_need, read_lexicon
from pruneproof.benchmarks._official import Entry, FileName, Found, Text, listed, read_json, unique
from pruneproof.benchmarks._protect import protected
from pruneproof.benchmarks._subset import drawn, without_missing
from pruneproof.mentions.objects import Lexicon, in_picture
from pruneproof.records import Sample, official_id
from pruneproof.settings import Frozen

CARD = Card(
    title="COCO captions",
    source="Chen et al., Microsoft COCO Captions, 2015, https://cocodataset.org; split by Karpathy and Fei-Fei, CVPR "
    "2015; CHAIR by Rohrbach et al., Object Hallucination in Image Captioning, EMNLP 2018, "
    "https://github.com/LisaAnne/Hallucination",
    licence="Annotations: CC BY 4.0. Pictures: from Flickr under their owners' terms "
    "(https://cocodataset.org/#termsofuse). CHAIR's list of synonyms has no licence, so that the user supplies it",
    size="Karpathy's test: 5,000 pictures, 25,010 captions; val2014: 40,504 pictures, 202,654 captions",
    scored_by="CIDEr-D, ROUGE-L and BLEU as pycocoevalcap does; CHAIR_i, CHAIR_s and recall of objects as CHAIR's own "
    "script does",
)

Split = Literal["test", "val", "val2014"]


class Options(Frozen):
    """Which pictures are described, and how."""

    split: Split = "test"
    """Karpathy's `test` or `val`, or all of `val2014`."""
    prompt: Annotated[str, Field(min_length=1)] = "Describe this image."
    """What is asked. Models answer differently to each wording: use the one that their authors used."""
    tokens: Literal["ptb", "plain"] = "ptb"
    """How captions are cut for CIDEr, ROUGE-L and BLEU: `ptb` as in published numbers, which needs Java, or `plain`."""
    java: tuple[Literal["meteor", "spice"], ...] = ()
    """Scores beside those, from pycocoevalcap's programs, which need Java and much time; in `official.csv`."""
    idf: Literal["scored", "split"] = "scored"
    """What makes a word rare for CIDEr: the captions of the pictures that are scored, as in the official code, or all
    of the split's, so that scores of a subset compare with those of the whole split."""
    chair: bool = True
    """Score hallucinated objects as well; needs `instances` and `synonyms`."""
    karpathy: str = "dataset_coco.json"
    """Karpathy's file, in `benchmark.folder`."""
    captions: str = "annotations/captions_val2014.json"
    """Official captions, in `benchmark.folder`; read for `val2014` alone."""
    instances: str = "annotations/instances_val2014.json"
    """Official instances, in `benchmark.folder`."""
    synonyms: str = "synonyms.txt"
    """CHAIR's list, or a folder with WordNet's dictionary, in `benchmark.folder`."""
    pictures: str = "val2014"
    """Folder of the pictures, in `benchmark.folder`."""


class Sentence(Entry):
    """What one person wrote."""

    raw: Text


class Described(Entry):
    """One of Karpathy's `images`."""

    filename: FileName
    cocoid: int
    split: Literal["train", "restval", "val", "test"]
    sentences: Annotated[list[Sentence], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Subject:
    """A picture and what people wrote about it."""

    coco_id: int
    captions: tuple[str, ...]
    place: Found[Any]
    """The entry that names it."""


def programs(options: Options) -> tuple[str, ...]:
    """What of pycocoevalcap's Java its scores need."""
    return (*(("ptb",) if options.tokens == "ptb" else ()), *options.java)


def needs(options: Options) -> tuple[Need, ...]:
    """The captions, pictures, and what CHAIR reads."""
    karpathy = Need(
        options.karpathy,
        "https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip",
        0,
        what="unpack caption_datasets.zip and put dataset_coco.json of it here",
    )
    captions = annotations_of_2014(options.captions) if options.split == "val2014" else karpathy
    chair = (annotations_of_2014(options.instances), lexicon_need(options.synonyms)) if options.chair else ()
    return (captions, *chair, pictures_of_val2014(options.pictures))


def build(request: Request, options: Options) -> Benchmark:
    """One caption for each picture that a study takes.

    Args:
        request: how many pictures, and where the files lie.
        options: which captions.
    """
    subjects = _official(request, options) if options.split == "val2014" else _karpathy(request, options)
    chosen = drawn(subjects, request, request.folder / _source(options))
    paths = {name: f"{options.pictures}/{name}" for name in chosen}
    there = set(without_missing(((path, subjects[name].place) for name, path in paths.items()), request))
    taken = {name: subjects[name] for name, path in paths.items() if path in there}
    shared: dict[str, Any] = {"tokens": options.tokens, "java": list(options.java)}
    if options.idf == "split":
        shared["collection"] = [list(subject.captions) for subject in subjects.values()]
    facts: dict[str, dict[str, Any]] = {name: {} for name in taken}
    if options.chair:
        known = read_lexicon(request.folder / options.synonyms)
        shared["lexicon"] = dict(known)
        present = _present(taken, known, request, options)
        facts = {name: {"objects": objects} for name, objects in present.items()}
    return Benchmark(
        images=tuple({"image_id": name, "group": "", "file": paths[name]} for name in facts),
        objects=(),
        samples=tuple(_sample(name, taken[name], facts[name], options) for name in facts),
        shared=shared,
    )


def results(answers: Sequence[tuple[Sample, str]], options: Options, name: str) -> tuple[str, list[dict[str, Any]]]:
    """What pycocoevalcap reads.

    Args:
        answers: of one condition, each with its text.
        options: of the study.
        name: of the model, for the file's name.

    Returns:
        The file's official name and its content.
    """
    rows = [{"image_id": int(official_id(sample)), "caption": text} for sample, text in answers]
    return f"captions_val2014_{name}_results.json", rows


def _source(options: Options) -> str:
    return options.captions if options.split == "val2014" else options.karpathy


def _karpathy(request: Request, options: Options) -> dict[str, Subject]:
    """Pictures of a split of Karpathy's by the name of their file."""
    file, faults = request.folder / _source(options), request.faults
    found = unique(listed(file, read_json(file, faults), Described, faults, "images"), "filename", faults)
    found = [item for item in found if item.entry.split == options.split]
    if not found:
        faults.add(file, f"has no picture of the split {options.split!r}: is it the right file?")
    return {
        item.entry.filename: Subject(item.entry.cocoid, tuple(sentence.raw for sentence in item.entry.sentences), item)
        for item in unique(found, "cocoid", faults)
    }


def _official(request: Request, options: Options) -> dict[str, Subject]:
    """Pictures of the official file by the name of theirs; those without captions are noted."""
    file, faults = request.folder / _source(options), request.faults
    content = read_json(file, faults)
    pictures = unique(unique(listed(file, content, Picture, faults, "images"), "id", faults), "file_name", faults)
    written: dict[int, list[str]] = {item.entry.id: [] for item in pictures}
    for caption in listed(file, content, Caption, faults, "annotations"):
        if caption.entry.image_id not in written:
            caption.note(faults, f"image_id {caption.entry.image_id} is not among the file's images")
        elif not caption.entry.caption.strip():
            caption.note(faults, f"caption is {caption.entry.caption!r}: must not be empty")
        else:
            written[caption.entry.image_id].append(caption.entry.caption)
    for item in pictures:
        if not written[item.entry.id]:
            item.note(faults, f"no caption of the picture {item.entry.id} can be used")
    return {
        item.entry.file_name: Subject(item.entry.id, tuple(written[item.entry.id]), item)
        for item in pictures
        if written[item.entry.id]
    }


def _present(taken: Mapping[str, Subject], known: Lexicon, request: Request, options: Options) -> dict[str, list[str]]:
    """Classes in each picture; a picture that the file of instances does not list is noted and left out."""
    file = request.folder / options.instances
    instances = read_instances(file, request.faults)
    found = {}
    for name, subject in taken.items():
        if subject.coco_id in instances.pictures:
            objects = instances.objects.get(subject.coco_id, ())
            categories = {instances.names[item.entry.category_id] for item in objects}
            found[name] = sorted(in_picture(categories, subject.captions, known))
        else:
            subject.place.note(request.faults, f"picture {subject.coco_id} is not among the images of {file}")
    return found


def _sample(name: str, subject: Subject, facts: Mapping[str, Any], options: Options) -> Sample:
    return Sample(
        sample_id=f"{name}/{subject.coco_id}",
        image_id=name,
        kind="caption",
        question=options.prompt,
        answer=subject.captions[0],
        protected=protected(options.prompt, ()),
        scorers=("coco_captions", "chair") if options.chair else ("coco_captions",),
        answers=subject.captions,
        facts=facts,
        asks="caption",
    )
