"""Everything that later stages take for granted about a benchmark, checked once, before anything is stored.

Whatever passes here is perturbed, asked, scored and reported without an error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from pruneproof.benchmarks import Benchmark
from pruneproof.benchmarks._types import type_problems
from pruneproof.errors import PruneProofError
from pruneproof.pictures import read_mask
from pruneproof.records import Sample
from pruneproof.wording import contains, words

SPLITS = ("random", "popular", "adversarial")
"""POPE's samplings, which a `split` of an existence question names."""
LONGEST_QUESTION = 5_000
"""Characters; some nine hundred words, more than any of the backbones reads."""
LONGEST_DETAIL = 60
"""Characters; a detail becomes part of a metric's name."""
MOST_COUNTED = 20
"""The largest number that scoring reads as a word, too."""
SHOWN = 20
"""Problems that are listed one by one."""

_ARTICLES = frozenset({"a", "an", "the"})


def require_sound(name: str, benchmark: Benchmark) -> None:
    """Refuse a benchmark that a later stage could not use.

    Raises:
        PruneProofError: with one line for each problem, which names the image or sample, the value and what is allowed.
    """
    found = list(problems(benchmark))
    if found:
        count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
        more = [f"... and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        lines = (f"  {line}" for line in [*found[:SHOWN], *more])
        raise PruneProofError("\n".join([f"benchmark {name} has {count}:", *lines]))


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
    yield from _vocabulary(benchmark)


def _images(benchmark: Benchmark) -> Iterator[str]:
    if not benchmark.images:
        yield "there is no image: give at least one"
    for image_id, times in Counter(row["image_id"] for row in benchmark.images).items():
        if times > 1:
            yield f"image {image_id!r} occurs {times} times: ids must be unique"


def _objects(benchmark: Benchmark) -> Iterator[str]:
    sizes = {row["image_id"]: (row["width"], row["height"]) for row in benchmark.images}
    counted = Counter((row["image_id"], row["object_id"]) for row in benchmark.objects)
    for row in benchmark.objects:
        said, size = f"object {row['object_id']} of image {row['image_id']!r}", sizes.get(row["image_id"])
        if size is None:
            yield f"{said}: there is no such image"
            continue
        if counted[row["image_id"], row["object_id"]] > 1:
            yield f"{said} occurs more than once: give each object of an image its own id"
        if fault := _box_fault(row, size) or _mask_fault(row["mask"], size):
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
    if not any(sample.kind != "caption" for sample in benchmark.samples):
        yield "no question is asked: give at least one sample of a kind other than `caption`"
    images = {row["image_id"] for row in benchmark.images}
    objects = {(row["image_id"], row["object_id"]) for row in benchmark.objects}
    for sample in benchmark.samples:
        said = f"sample {sample.sample_id!r}"
        if sample.image_id not in images:
            yield f"{said}: image {sample.image_id!r} does not exist"
        yield from (f"{said}: {fault}" for fault in _wording_faults(sample))
        if fault := _answer_fault(sample):
            yield f"{said}: answer {sample.answer!r} {fault}"
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
            yield f"protected {phrase!r}does not occur in the question {question[:200]!r}"
    if sample.split and (sample.kind != "existence" or sample.split not in SPLITS):
        yield f"split {sample.split!r} is not allowed: {', '.join(SPLITS)} for existence, else empty"
    if "/" in sample.detail or len(sample.detail) > LONGEST_DETAIL:
        yield f"detail {sample.detail[:80]!r} becomes a metric's name: at most {LONGEST_DETAIL} characters, no '/'"


def _answer_fault(sample: Sample) -> str:
    """Scoring reads a true answer as it reads a model's, so it must be readable."""
    kind, answer = sample.kind, sample.answer
    if kind == "caption":
        return ""
    if answer != answer.strip().lower():
        return "must be in lower case, without spaces around it"
    if kind == "existence" and answer not in ("yes", "no"):
        return "is not allowed for an existence question: use yes or no"
    if kind == "count" and answer not in map(str, range(MOST_COUNTED + 1)):
        return f"is not allowed for a count: use 0 to {MOST_COUNTED} in figures"
    return "" if set(words(answer)) - _ARTICLES else "holds no word"


def _repetitions(benchmark: Benchmark) -> Iterator[str]:
    """A question that several samples ask of one image is asked, and reworded, once for all of them."""
    for sample_id, times in Counter(sample.sample_id for sample in benchmark.samples).items():
        if times > 1:
            yield f"sample {sample_id!r} occurs {times} times: ids must be unique"
    first: dict[tuple[str, str], Sample] = {}
    for sample in benchmark.samples:
        other = first.setdefault((sample.image_id, sample.question), sample)
        for name in ("kind", "answer", "protected"):
            one, two = getattr(other, name), getattr(sample, name)
            if one != two and not (name == "answer" and sample.kind == "caption"):
                same = f"sample {sample.sample_id!r} asks what {other.sample_id!r} asks of the same image"
                yield f"{same}, but its {name} is {two!r} and not {one!r}"


def _vocabulary(benchmark: Benchmark) -> Iterator[str]:
    owners: dict[tuple[str, ...], str] = {}
    for name, written in benchmark.vocabulary.items():
        for form in (name, *written):
            key = words(form)
            if not key:
                yield f"vocabulary: form {form!r} of {name!r} holds no word"
            elif owners.setdefault(key, name) != name:
                yield f"vocabulary: {form!r} names both {owners[key]!r} and {name!r}: give it to one class"
    if not benchmark.vocabulary and any(sample.kind == "caption" for sample in benchmark.samples):
        yield "vocabulary: is empty, but captions are asked for: give every class and its surface forms"
