"""GQA's balanced questions of testdev, as cs.stanford.edu/people/dorarad/gqa publishes them.

GQA counts nothing, so that questions about number are left out. Its rule compares raw text, and takes neither `Yes.`
for yes nor `on the left` for left, as the scenes' own does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pruneproof.benchmarks import Benchmark
from pruneproof.benchmarks.scenes.phrasings import SIDES
from pruneproof.benchmarks.scenes.vocabulary import with_article
from pruneproof.exporting import Export, once
from pruneproof.exporting._files import numbers, to_json
from pruneproof.records import Sample

READERS: Mapping[str, Mapping[str, Any]] = {"gqa": {"split": "testdev"}}


@dataclass(frozen=True, slots=True)
class _Meaning:
    """A question as GQA takes it apart."""

    structural: str
    semantic: str
    detailed: str
    steps: tuple[tuple[str, str, tuple[int, ...]], ...]
    """Operation, its argument, and the places of the steps that it needs."""
    sentence: str
    """The answer in full."""
    group: str | None = None
    """Questions of one group have the same set of answers."""


@dataclass(frozen=True, slots=True)
class _Thing:
    """An object that is asked about."""

    noun: str
    number: str
    """Its id in the picture; `-` if it is not there."""

    @property
    def select(self) -> tuple[str, str, tuple[int, ...]]:
        return "select", f"{self.noun} ({self.number})", ()


def export(scenes: Benchmark) -> Export:
    """`questions/testdev_balanced_questions.json` and the pictures in `images`; every question is there once."""
    names = {image: f"n{number:06d}" for image, number in numbers(scenes).items()}
    files = {f"images/{names[row['image_id']]}.jpg": row["png"] for row in scenes.images}
    nouns = {(row["image_id"], row["object_id"]): row["noun"] for row in scenes.objects}
    samples = tuple(sample for sample in once(scenes.samples) if sample.kind in _MEANINGS)
    asked: Counter[str] = Counter()
    entries = {}
    for sample in samples:
        name = names[sample.image_id]
        key = f"20{name[1:]}{asked[name]:02d}"
        asked[name] += 1
        things = {nouns[sample.image_id, number]: str(number) for number in sample.target_objects}
        first = _Thing(sample.target, things.pop(sample.target, "-"))
        others = [_Thing(noun, number) for noun, number in things.items()]
        entries[key] = _entry(key, name, sample, _MEANINGS[sample.kind](sample, first, *others))
    files["questions/testdev_balanced_questions.json"] = to_json(entries)
    return Export(files, samples)


def _entry(key: str, image: str, sample: Sample, meaning: _Meaning) -> dict[str, Any]:
    steps = [
        {"operation": operation, "dependencies": list(needs), "argument": argument}
        for operation, argument, needs in meaning.steps
    ]
    said = (
        f"{operation}: {argument}{f' {list(needs)}' if needs else ''}" for operation, argument, needs in meaning.steps
    )
    return {
        "imageId": image,
        "question": sample.question,
        "answer": sample.answer,
        "fullAnswer": meaning.sentence,
        "isBalanced": True,
        "types": {
            "structural": meaning.structural,
            "semantic": meaning.semantic,
            "detailed": meaning.detailed,
        },
        "groups": {"global": meaning.group, "local": f"{meaning.detailed}-{sample.target}"},
        "semantic": steps,
        "semanticStr": "->".join(said),
        "entailed": [],
        "equivalent": [key],
        "annotations": {"question": {}, "answer": {}, "fullAnswer": {}},
    }


def _existence(sample: Sample, thing: _Thing) -> _Meaning:
    there = sample.answer == "yes"
    sentence = f"Yes, there is {with_article(thing.noun)}." if there else f"No, there is no {thing.noun}."
    return _Meaning("verify", "obj", "exist", (thing.select, ("exist", "?", (0,))), sentence)


def _colour(sample: Sample, thing: _Thing) -> _Meaning:
    steps = (thing.select, ("query", "color", (0,)))
    return _Meaning("query", "attr", "directOf", steps, f"The {thing.noun} is {sample.answer}.", "color")


def _relation(sample: Sample, thing: _Thing, other: _Thing) -> _Meaning:
    sides = {"horizontal": ("left", "right"), "vertical": ("above", "below")}[sample.detail]
    if sample.answer in sides:
        words = f"{thing.noun},{'|'.join(SIDES[side] for side in sides)},s ({thing.number})"
        steps = (other.select, ("choose rel", words, (0,)))
        sentence = f"The {thing.noun} is {SIDES[sample.answer]} the {other.noun}."
        return _Meaning("choose", "rel", "relChooser", steps, sentence)
    claimed = next(side for side in sides if SIDES[side] in sample.question)
    steps = (other.select, ("verify rel", f"{thing.noun},{SIDES[claimed]},s ({thing.number})", (0,)))
    true = sides[(sides.index(claimed) + (sample.answer == "no")) % 2]
    sentence = f"{sample.answer.capitalize()}, the {thing.noun} is {SIDES[true]} the {other.noun}."
    return _Meaning("verify", "rel", "relVerify", steps, sentence)


def _compositional(sample: Sample, thing: _Thing, other: _Thing) -> _Meaning:
    steps = (thing.select, other.select, ("same color", "", (0, 1)))
    verb = "have" if sample.answer == "yes" else "do not have"
    sentence = f"{sample.answer.capitalize()}, the {thing.noun} and the {other.noun} {verb} the same colour."
    return _Meaning("compare", "attr", "twoSame", steps, sentence)


_MEANINGS: Mapping[str, Callable[..., _Meaning]] = {
    "existence": _existence,
    "colour": _colour,
    "relation": _relation,
    "compositional": _compositional,
}
"""By kind of the scenes' questions."""
