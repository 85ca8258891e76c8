"""AMBER's questions: yes or no about existence, attributes and relations on pictures of its own.

Wang et al., 2023 (arXiv 2311.07397). Questions and truth are two lists, in the order of their ids,

    [{"id": 1005, "image": "AMBER_1.jpg", "query": "Is the sky sunny in this image?"}, ...]
    [{"id": 1005, "type": "discriminative-attribute-state", "truth": "yes"}, ...]

The first 1,004 ask for a description. They are left out: the official script compares its nouns by the word vectors of
a spaCy model, which is a download of 400 MB.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from pruneproof.benchmarks import Benchmark, Card, Need, Request
from pruneproof.benchmarks._official import Entry, FileName, Found, Text, listed, read_json, unique
from pruneproof.benchmarks._subset import drawn, without_missing
from pruneproof.problems import short
from pruneproof.records import EXISTENCE, Sample, official_id
from pruneproof.settings import Frozen

CARD = Card(
    title="AMBER (questions)",
    source="Wang et al., AMBER: An LLM-free Multi-dimensional Benchmark for MLLMs Hallucination Evaluation, 2023; "
    "https://github.com/junyangwang0410/AMBER",
    licence="Questions and annotations: Apache 2.0. Pictures: collected by its authors, without a licence of their own",
    size="1,004 pictures; 14,216 questions: 4,924 about existence, 7,628 about attributes, 1,664 about relations",
    scored_by="Accuracy, precision, recall and F1 by the official script (`inference.py`), for which `No` is positive "
    "and only the very words `Yes` and `No` are answers; descriptions, its other half, are not scored",
)

Dimension = Literal["existence", "attribute", "relation"]

_REPOSITORY = "https://raw.githubusercontent.com/junyangwang0410/AMBER/534babf6bbfcce2e735c26289dedfb21cef3c939"

_TYPES: Mapping[str, tuple[Dimension, str]] = {
    "discriminative-hallucination": ("existence", ""),
    "discriminative-attribute-state": ("attribute", "state"),
    "discriminative-attribute-number": ("attribute", "number"),
    "discriminative-attribute-action": ("attribute", "action"),
    "discriminative-relation": ("relation", ""),
    "relation": ("relation", ""),
}
"""Dimension and sort of attribute; the script counts both names of a relation as one."""

_ASKED = re.compile(r"Is there (an? (.+)) in this image\?")


class Options(Frozen):
    """Which questions are asked, and where the files lie."""

    dimensions: Annotated[tuple[Dimension, ...], Field(min_length=1)] = ("existence", "attribute", "relation")
    queries: str = "data/query/query_all.json"
    """File of questions, in `benchmark.folder`, which may be a checkout of the official repository."""
    annotations: str = "data/annotations.json"
    """File of true answers, in `benchmark.folder`."""
    pictures: str = "image"
    """Folder of the pictures, in `benchmark.folder`."""


class Query(Entry):
    """A question, or a request for a description."""

    id: int
    image: FileName
    query: Text


class Annotation(Entry):
    """What is true."""

    id: int
    type: Literal[
        "generative",
        "discriminative-hallucination",
        "discriminative-attribute-state",
        "discriminative-attribute-number",
        "discriminative-attribute-action",
        "discriminative-relation",
        "relation",
    ]
    truth: Any
    """`yes` or `no`; for a description the objects that it should name."""


def needs(options: Options) -> tuple[Need, ...]:
    """Questions, annotations and pictures."""
    return (
        Need(
            options.queries,
            f"{_REPOSITORY}/data/query/query_all.json",
            1_844_750,
            "127680ae61f7d4a92d2f7f07a8deaec07f0689b194d2c7c0f41ead7bd2c5bcf5",
        ),
        Need(
            options.annotations,
            f"{_REPOSITORY}/data/annotations.json",
            1_813_301,
            "db22a436c4836fbb295e60b4e80d519573077579fb7032f01b193c1bd022b797",
        ),
        Need(
            options.pictures,
            "https://drive.google.com/file/d/1MaCHgtupcZUjf007anNl4_MV0o4DjXvl/view",
            0,
            what="unpack the archive and let this be the folder of AMBER_1.jpg and the others, or a link to it",
        ),
    )


def build(request: Request, options: Options) -> Benchmark:
    """The questions on the pictures that a study takes.

    Args:
        request: how many pictures, and where the files lie; all questions on a picture that is taken are asked.
        options: which dimensions.
    """
    file, faults = request.folder / options.queries, request.faults
    queries = unique(listed(file, read_json(file, faults), Query, faults), "id", faults)
    truths = _annotated(queries, request, options)
    asked = [item for item in queries if item.entry.id in truths]
    if queries and not asked:
        faults.add(file, f"has no question about {' or '.join(options.dimensions)}")
    first: dict[str, Found[Query]] = {}
    for item in asked:
        first.setdefault(item.entry.image, item)
    paths = {image: f"{options.pictures}/{image}" for image in drawn(first, request, file)}
    there = set(without_missing(((path, first[image]) for image, path in paths.items()), request))
    paths = {image: path for image, path in paths.items() if path in there}
    asked = [item for item in asked if item.entry.image in paths]
    absent: dict[str, dict[str, None]] = {image: {} for image in paths}
    for item in asked:
        if (named := _ASKED.fullmatch(item.entry.query)) and truths[item.entry.id].truth == "no":
            absent[item.entry.image][named[1]] = None
    return Benchmark(
        images=tuple({"image_id": image, "group": "", "file": path} for image, path in paths.items()),
        objects=(),
        samples=tuple(_sample(item.entry, truths[item.entry.id], tuple(absent[item.entry.image])) for item in asked),
    )


def results(answers: Sequence[tuple[Sample, str]], options: Options, name: str) -> tuple[str, list[dict[str, Any]]]:
    """What the official script reads.

    Args:
        answers: of one condition, each with its text.
        options: of the study.
        name: of the model, for the file's name, about which the script does not care.

    Returns:
        The file's name and its content.
    """
    return f"amber_{name}.json", [{"id": int(official_id(sample)), "response": text} for sample, text in answers]


def _annotated(queries: Sequence[Found[Query]], request: Request, options: Options) -> dict[int, Annotation]:
    """Truth of each question of the dimensions, by its id; whatever lacks a partner is noted."""
    file, faults = request.folder / options.annotations, request.faults
    found = unique(listed(file, read_json(file, faults), Annotation, faults), "id", faults)
    ids = {item.entry.id for item in queries}
    truths = {}
    for item in found:
        annotation = item.entry
        if annotation.id not in ids:
            item.note(
                faults, f"id {annotation.id} is not among the usable questions of {request.folder / options.queries}"
            )
        elif annotation.type == "generative":
            continue
        elif annotation.truth not in ("yes", "no"):
            item.note(faults, f"truth of question {annotation.id} is {short(annotation.truth)}; allowed: 'yes' or 'no'")
        elif _TYPES[annotation.type][0] in options.dimensions:
            truths[annotation.id] = annotation
    annotated = {item.entry.id for item in found}
    for query in queries:
        if query.entry.id not in annotated:
            query.note(faults, f"id {query.entry.id} has no annotation that can be used in {file}")
    return truths


def _sample(query: Query, annotation: Annotation, absent: tuple[str, ...]) -> Sample:
    dimension, attribute = _TYPES[annotation.type]
    truth: str = annotation.truth
    named = _ASKED.fullmatch(query.query) if dimension == EXISTENCE else None
    target = named[2] if named else ""
    return Sample(
        sample_id=f"{query.image}/{query.id}",
        image_id=query.image,
        kind=dimension,
        question=query.query,
        answer=truth,
        detail=attribute,
        target=target,
        absent=absent,
        scorers=("amber",),
        answers=(truth.capitalize(),),
        facts={"dimension": dimension} | ({"attribute": attribute} if attribute else {}),
    )
