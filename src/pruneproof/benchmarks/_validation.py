"""Everything that later stages take for granted about a benchmark, checked once, before anything is stored.

Whatever passes here is perturbed, asked, scored and reported without an error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from pruneproof import registry
from pruneproof.benchmarks import Benchmark
from pruneproof.benchmarks._faults import refuse
from pruneproof.benchmarks._types import type_problems
from pruneproof.errors import PruneProofError
from pruneproof.pictures import read_mask
from pruneproof.records import EXISTENCE, Sample
from pruneproof.wording import contains, words

LONGEST_QUESTION = 5_000
"""Characters; some nine hundred words, more than any of the backbones reads."""
LONGEST_DETAIL = 60
"""Characters; a detail becomes part of a metric's name."""
MOST_COUNTED = 20
"""The largest number that scoring reads as a word, too."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""Kinds and splits become parts of metrics' names."""

_ARTICLES = frozenset({"a", "an", "the"})


def require_sound(name: str, benchmark: Benchmark) -> None:
    """Refuse a benchmark that a later stage could not use.

    Raises:
        PruneProofError: with one line for each problem, which names the image or sample, the value and what is allowed.
    """
    refuse(name, list(problems(benchmark)))


def problems(benchmark: Benchmark) -> Iterator[str]:
    """Every problem as one line; problems with types hide all others, which cannot be looked for."""
    wrong = list(type_problems(benchmark))
    if wrong:
        yield from wrong
        return
    yield from _images(benchmark)
    yield from _objects(benchmark)
    yield from _samples(benchmark)
    yield from _repetitions(benchmark)
    yield from _vocabulary(benchmark.shared.get("vocabulary", {}))


def _images(benchmark: Benchmark) -> Iterator[str]:
    if not benchmark.images:
        yield "there is no image: give at least one"
    for image_id, times in Counter(row["image_id"] for row in benchmark.images).items():
        if times > 1:
            yield f"image {image_id!r} occurs {times} times: ids must be unique"


def _objects(benchmark: Benchmark) -> Iterator[str]:
    sizes = {row["image_id"]: (row["width"], row["height"]) for row in benchmark.images if "width" in row}
    shown = {row["image_id"] for row in benchmark.images}
    counted = Counter((row["image_id"], row["object_id"]) for row in benchmark.objects)
    for row in benchmark.objects:
        said, size = f"object {row['object_id']} of image {row['image_id']!r}", sizes.get(row["image_id"])
        if row["image_id"] not in shown:
            yield f"{said}: there is no such image"
            continue
        if counted[row["image_id"], row["object_id"]] > 1:
            yield f"{said} occurs more than once: give each object of an image its own id"
        if size is not None and (fault := _box_fault(row, size) or _mask_fault(row["mask"], size)):
            yield f"{said}: {fault}"


def _box_fault(row: Mapping[str, Any], size: tuple[int, int]) -> str:
    """Half a pixel beyond the edge is accepted: annotations in fractions of a pixel are rounded."""
    x0, y0, x1, y1 = (row[name] for name in ("x0", "y0", "x1", "y1"))
    if -0.5 <= x0 < x1 <= size[0] + 0.5 and -0.5 <= y0 < y1 <= size[1] + 0.5:
        return ""
    box = f"the box ({x0:g}, {y0:g}, {x1:g}, {y1:g})"
    return f"{box} must have x0 < x1 and y0 < y1 and lie inside the picture of {size[0]} x {size[1]} pixels"


def _mask_fault(mask: bytes, size: tuple[int, int]) -> str:
    if not mask:
        return ""
    try:
        height, width = read_mask(mask, "the mask").shape
    except PruneProofError as error:
        return str(error)
    if (width, height) != size:
        return f"the mask has {width} x {height} pixels, but its picture {size[0]} x {size[1]}"
    return ""


def _samples(benchmark: Benchmark) -> Iterator[str]:
    if not benchmark.samples:
        yield "no question is asked: give at least one sample"
    images = {row["image_id"] for row in benchmark.images}
    objects = {(row["image_id"], row["object_id"]) for row in benchmark.objects}
    for sample in benchmark.samples:
        said = f"sample {sample.sample_id!r}"
        if sample.image_id not in images:
            yield f"{said}: image {sample.image_id!r} does not exist"
        yield from (f"{said}: {fault}" for fault in _wording_faults(sample))
        if fault := _scorer_fault(sample):
            yield f"{said}: {fault}"
        for target in sample.target_objects:
            if (sample.image_id, target) not in objects:
                yield f"{said}: target object {target} does not exist in image {sample.image_id!r}"


def _wording_faults(sample: Sample) -> Iterator[str]:
    question = sample.question
    if not words(question):
        yield f"question {question!r} holds no word"
    if len(question) > LONGEST_QUESTION:
        yield f"the question has {len(question)} characters, {LONGEST_QUESTION} are allowed: {question[:40]!r}..."
    for phrase in sample.protected:
        if not contains(question, phrase):
            yield f"protected {phrase!r} does not occur in the question {question[:200]!r}"
    for what, value in (("kind", sample.kind), ("split", sample.split or "none")):
        if not _NAME.fullmatch(value):
            yield f"{what} {value!r} becomes part of metrics' names: lower case letters, digits and _, at most 64"
    if "/" in sample.detail or len(sample.detail) > LONGEST_DETAIL:
        yield f"detail {sample.detail[:80]!r} becomes a metric's name: at most {LONGEST_DETAIL} characters, no '/'"


def _scorer_fault(sample: Sample) -> str:
    """A scorer that there is not, or a truth that scoring could not read as it reads a model's answer."""
    if not sample.scorers:
        unanswered = sample.asks == "answer" and not sample.answer and not sample.answers
        return "" if unanswered else "names no scorer: give at least one module of pruneproof.scoring.scorers"
    for name in sample.scorers:
        if name not in _scorers():
            return str(registry.unknown("scorer", name, _scorers()))
    answer = sample.answer
    if sample.asks == "caption":
        return ""
    if sample.kind == EXISTENCE and answer not in ("yes", "no"):
        return f"answer {answer!r} is not allowed for an existence question: use yes or no"
    if sample.scorers[0] != "values":
        return ""
    if answer != answer.strip().lower():
        return f"answer {answer!r} must be in lower case, without spaces around it"
    if sample.kind == "count" and answer not in map(str, range(MOST_COUNTED + 1)):
        return f"answer {answer!r} is not allowed for a count: use 0 to {MOST_COUNTED} in figures"
    return "" if set(words(answer)) - _ARTICLES else f"answer {answer!r} holds no word"


@cache
def _scorers() -> tuple[str, ...]:
    """By name alone: pictures and questions come before anything that judges answers."""
    return tuple(registry.module_names("pruneproof.scoring.scorers"))


def _repetitions(benchmark: Benchmark) -> Iterator[str]:
    """A question that several splits ask of one image is asked, reworded and counted once for all of them."""
    for sample_id, times in Counter(sample.sample_id for sample in benchmark.samples).items():
        if times > 1:
            yield f"sample {sample_id!r} occurs {times} times: ids must be unique"
    first: dict[tuple[str, str], Sample] = {}
    for sample in benchmark.samples:
        other = first.setdefault((sample.image_id, sample.question), sample)
        for name in ("kind", "answer", "protected") if sample.split else ():
            one, two = getattr(other, name), getattr(sample, name)
            if one != two:
                same = f"sample {sample.sample_id!r} asks what {other.sample_id!r} asks of the same image"
                yield f"{same}, but its {name} is {two!r} and not {one!r}"


def _vocabulary(vocabulary: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Of CHAIR, where captions are searched for a closed vocabulary."""
    owners: dict[tuple[str, ...], str] = {}
    for name, written in vocabulary.items():
        for form in (name, *written):
            key = words(form)
            if not key:
                yield f"vocabulary: form {form!r} of {name!r} holds no word"
            elif owners.setdefault(key, name) != name:
                yield f"vocabulary: {form!r} names both {owners[key]!r} and {name!r}: give it to one class"
