"""Training text: questions with answers on a scene, noise as users make it, captions for the contrastive loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from pruneproof.benchmarks.scenes import facts
from pruneproof.benchmarks.scenes.composition import Scene
from pruneproof.benchmarks.scenes.phrasings import OPTIONS, SIDES, phrasings
from pruneproof.benchmarks.scenes.vocabulary import BY_NAME, COLOURS, NOUN_NAMES, with_article

T = TypeVar("T")

SYNONYM_SHARE = 0.3
"""Share of questions that name an object by a synonym, so that the model knows these words."""

_NEUTRAL = (
    "Good morning.",
    "Please look carefully.",
    "Thank you for your help.",
    "This is an easy one.",
    "I have one question.",
    "Take your time.",
    "Here is a picture from my book.",
    "We looked at it together yesterday.",
    "My friend took this picture on a sunny day.",
    "Answer in one word, please.",
)
_FILLERS = ("please", "now", "the", "a", "here", "in")
_KEYS = dict(zip("qwertyuiopasdfghjklzxcvbnm", "wqretyuoipsadfhgkjlxzcbvnm", strict=True))
"""A neighbour of each key, for typos in training; the study's own typos come from another source (nlpaug)."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """One training question."""

    form: str
    question: str
    answer: str
    noun: str = ""
    """The class that a question on existence is about."""


def _names(noun: str, rng: np.random.Generator) -> tuple[str, str]:
    """Singular and plural of a class, sometimes of a synonym."""
    entry = BY_NAME[noun]
    if entry.synonyms and rng.random() < SYNONYM_SHARE:
        return entry.synonyms[int(rng.integers(len(entry.synonyms)))]
    return entry.name, entry.plural


def _pick(items: Sequence[T], rng: np.random.Generator) -> T:
    return items[int(rng.integers(len(items)))]


@dataclass(frozen=True, slots=True)
class _Draw:
    """Where a lesson's random choices come from, and which phrasings it may use."""

    rng: np.random.Generator
    held_out: bool

    def pick(self, items: Sequence[T]) -> T:
        return _pick(items, self.rng)

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def template(self, form: str) -> str:
        template: str = self.pick([p.template for p in phrasings(form) if p.held_out == self.held_out])
        return template

    def name(self, noun: str) -> str:
        return _names(noun, self.rng)[0]


def _word(form: str, draw: _Draw, noun: str, other: str = "", **slots: str) -> str:
    singular, plural = _names(noun, draw.rng)
    return draw.template(form).format(
        noun=singular,
        nouns=plural,
        a_noun=with_article(singular),
        other=draw.name(other) if other else "",
        **slots,
    )


def _existence(scene: Scene, draw: _Draw) -> Lesson | None:
    there = draw.chance(0.5)
    form = "existence/singular" if draw.chance(0.6) else "existence/plural"
    noun = draw.pick(facts.present(scene) if there else facts.absent(scene))
    return Lesson(form, _word(form, draw, noun), "yes" if there else "no", noun)


def _colour(scene: Scene, draw: _Draw) -> Lesson | None:
    singles = facts.single(scene)
    if not singles:
        return None
    noun = draw.pick(tuple(singles))
    return Lesson("colour", _word("colour", draw, noun), singles[noun].colour)


def _counted(scene: Scene, draw: _Draw) -> tuple[str, int] | None:
    """A class and its number: the numbers that occur in the scene are equally likely."""
    counted = [(noun, n) for noun, n in facts.counts(scene).items() if n <= facts.MOST_COUNTED]
    if not counted:
        return None
    number = draw.pick(sorted({n for _, n in counted}))
    return draw.pick([noun for noun, n in counted if n == number]), number


def _count(scene: Scene, draw: _Draw) -> Lesson | None:
    found = _counted(scene, draw)
    return found and Lesson("count", _word("count", draw, found[0]), str(found[1]))


def _short_count(scene: Scene, draw: _Draw) -> Lesson | None:
    """A curriculum for counting: the answer follows the noun directly."""
    found = _counted(scene, draw)
    return found and Lesson("short/count", f"count {_names(found[0], draw.rng)[1]}", str(found[1]))


def _relation(scene: Scene, draw: _Draw) -> Lesson | None:
    found = facts.relations(scene)
    if not found:
        return None
    axis = draw.pick(("horizontal", "horizontal", "vertical"))
    found = tuple(relation for relation in found if relation.axis == axis) or found
    relation = draw.pick(found)
    if draw.chance(0.5):
        question = _word("relation/choice", draw, relation.noun, relation.other, options=OPTIONS[relation.axis])
        return Lesson(f"relation/choice/{relation.axis}", question, relation.side)
    sides = ("left", "right") if relation.axis == "horizontal" else ("above", "below")
    claimed = draw.pick(sides)
    question = _word("relation/holds", draw, relation.noun, relation.other, side=SIDES[claimed])
    return Lesson(f"relation/holds/{relation.axis}", question, "yes" if claimed == relation.side else "no")


def _side(scene: Scene, draw: _Draw) -> Lesson | None:
    """A curriculum for relations; the benchmark never asks it."""
    axis: facts.Axis = "horizontal" if draw.chance(0.65) else "vertical"
    halves = {noun: facts.half(placed, axis) for noun, placed in facts.single(scene).items()}
    sure = [noun for noun, side in halves.items() if side]
    if not sure:
        return None
    noun = draw.pick(sure)
    name = draw.name(noun)
    return Lesson(
        f"side/{axis}", f"Which {'side' if axis == 'horizontal' else 'height'} is the {name} on?", halves[noun] or ""
    )


def _short_side(scene: Scene, draw: _Draw) -> Lesson | None:
    """The same with the answer right after the noun, so that a word learns where its object stands."""
    axis: facts.Axis = "horizontal" if draw.chance(0.65) else "vertical"
    halves = {noun: facts.half(placed, axis) for noun, placed in facts.single(scene).items()}
    sure = [noun for noun, side in halves.items() if side]
    if not sure:
        return None
    noun = draw.pick(sure)
    return Lesson(
        f"short/side/{axis}", f"{'side' if axis == 'horizontal' else 'height'} {draw.name(noun)}", halves[noun] or ""
    )


def _short_relation(scene: Scene, draw: _Draw) -> Lesson | None:
    """A curriculum for relations: where the first object stands from the second, answered after both nouns."""
    axis: facts.Axis = "horizontal" if draw.chance(0.65) else "vertical"
    found = tuple(relation for relation in facts.relations(scene) if relation.axis == axis)
    if not found:
        return None
    relation = draw.pick(found)
    word = "across" if axis == "horizontal" else "upright"
    question = f"{word} {draw.name(relation.noun)} from {draw.name(relation.other)}"
    return Lesson(f"short/relation/{axis}", question, relation.side)


def _compositional(scene: Scene, draw: _Draw) -> Lesson | None:
    singles = facts.single(scene)
    if len(singles) < 2:
        return None
    pairs = [(a, b) for a in singles for b in singles if a != b]
    wanted = draw.chance(0.5)
    matching = [(a, b) for a, b in pairs if (singles[a].colour == singles[b].colour) == wanted] or pairs
    noun, other = draw.pick(matching)
    same = singles[noun].colour == singles[other].colour
    return Lesson("compositional", _word("compositional", draw, noun, other), "yes" if same else "no")


def _caption(scene: Scene, draw: _Draw) -> Lesson | None:
    return Lesson("caption", draw.template("caption"), facts.caption(scene))


def _short(scene: Scene, draw: _Draw) -> Lesson | None:
    """Short forms that start the language model: the answer follows the noun directly."""
    singles = facts.single(scene)
    if singles and draw.chance(0.6):
        noun = draw.pick(tuple(singles))
        return Lesson("short/colour", f"colour {draw.name(noun)}", singles[noun].colour)
    there = draw.chance(0.5)
    noun = draw.pick(facts.present(scene) if there else facts.absent(scene))
    return Lesson("short/existence", f"see {draw.pick(_names(noun, draw.rng))}", "yes" if there else "no")


_MAKERS: dict[str, Callable[[Scene, _Draw], Lesson | None]] = {
    "existence": _existence,
    "colour": _colour,
    "count": _count,
    "relation": _relation,
    "side": _side,
    "compositional": _compositional,
    "caption": _caption,
    "short": _short,
    "short_count": _short_count,
    "short_side": _short_side,
    "short_relation": _short_relation,
}


def _typo(word: str, rng: np.random.Generator) -> str:
    at = int(rng.integers(len(word)))
    kind = int(rng.integers(4))
    if kind == 0 and at + 1 < len(word):
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == 1:
        return word[:at] + word[at + 1 :]
    if kind == 2:
        return word[:at] + " " + word[at:]
    return word[:at] + _KEYS.get(word[at].lower(), word[at]) + word[at + 1 :]


_KEEP = {*COLOURS, "left", "right", "above", "below", "same"}


def _protected(word: str) -> bool:
    bare = word.strip("?.,:").lower()
    return bare in _KEEP or any(
        bare in form.split()
        for noun in NOUN_NAMES
        for form in (noun, BY_NAME[noun].plural, *(f for s in BY_NAME[noun].synonyms for f in s))
    )


_PROTECTED_CACHE: dict[str, bool] = {}


def _is_protected(word: str) -> bool:
    if word not in _PROTECTED_CACHE:
        _PROTECTED_CACHE[word] = _protected(word)
    return _PROTECTED_CACHE[word]


def with_noise(question: str, rng: np.random.Generator) -> str:
    """Typos, a dropped word, a neutral sentence, or another word for the image; the asked words stay."""
    words = question.split()
    if rng.random() < 0.5:
        for at, word in enumerate(words):
            if len(word) > 1 and not _is_protected(word) and rng.random() < 0.35:
                words[at] = _typo(word, rng)
    if rng.random() < 0.25:
        loose = [at for at, word in enumerate(words) if word.lower() in _FILLERS]
        if loose:
            del words[_pick(loose, rng)]
    text: str = " ".join(words)
    if rng.random() < 0.25:
        text = text.replace("image", _pick(("picture", "photo", "scene"), rng))
    draw = rng.random()
    if draw < 0.15:
        return f"{_pick(_NEUTRAL, rng)} {text}"
    if draw < 0.3:
        return f"{text} {_pick(_NEUTRAL, rng)}"
    return text


def lessons(
    scene: Scene, plan: dict[str, int], noise: float, rng: np.random.Generator, held_out: bool = False
) -> list[Lesson]:
    """Questions on a scene: `plan` gives the number of each kind; what a scene cannot answer is left out.

    `held_out` asks with the phrasings that training never uses, for validation.
    """
    draw = _Draw(rng, held_out)
    made = [_MAKERS[kind](scene, draw) for kind, number in plan.items() for _ in range(number)]
    return [
        replace(lesson, question=with_noise(lesson.question, rng))
        if rng.random() < noise and not lesson.form.startswith("short")
        else lesson
        for lesson in made
        if lesson is not None
    ]


def contrastive_caption(scene: Scene, shown: list[int], rng: np.random.Generator) -> str:
    """A caption for open_clip's loss that names some of the objects with index in `shown`, as web captions do."""
    if not shown:
        return _pick(("an empty place", "nothing but the background", "a quiet background"), rng)
    some = rng.permutation(shown)[: int(rng.integers(1, min(5, len(shown)) + 1))]
    parts = []
    for index in some:
        placed = scene.objects[int(index)]
        name = _names(placed.noun, rng)[0]
        parts.append(with_article(f"{placed.colour} {name}" if rng.random() < 0.7 else name))
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    frame: str = _pick(("{}", "a picture of {}", "{} in the scene", "an image with {}", "there is {} here"), rng)
    return frame.format(listed)
