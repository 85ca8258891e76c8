"""The benchmark's questions on a drawn scene, each with its truth and with what text perturbations need to know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from pruneproof.benchmarks._samplings import PAIRS, SAMPLINGS, CoOccurrence
from pruneproof.benchmarks.scenes import facts
from pruneproof.benchmarks.scenes.composition import Scene
from pruneproof.benchmarks.scenes.phrasings import OPTIONS, SIDES, phrasings
from pruneproof.benchmarks.scenes.vocabulary import BY_NAME, COLOURS, with_article
from pruneproof.records import Sample

T = TypeVar("T")

PER_KIND = 2
"""Questions about colour and about number per image."""

_OPPOSITE = {"left": "right", "right": "left", "above": "below", "below": "above"}


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a question is about, before it is worded."""

    kind: str
    form: str
    answer: str
    noun: str
    other: str = ""
    detail: str = ""
    slots: tuple[tuple[str, str], ...] = ()
    protected: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()


class Examiner:
    """Asks about one scene; the random stream decides wording and choice."""

    def __init__(self, image_id: str, scene: Scene, rng: np.random.Generator) -> None:
        self.image_id, self.scene, self.rng = image_id, scene, rng
        missing = facts.absent(scene)
        self.absent = tuple(with_article(missing[i]) for i in rng.permutation(len(missing))[:3])

    def _pick(self, items: Sequence[T]) -> T:
        return items[int(self.rng.integers(len(items)))]

    def _sample(self, asked: _Asked, suffix: str, split: str = "") -> Sample:
        noun, other = BY_NAME[asked.noun], BY_NAME.get(asked.other)
        values = {
            "noun": noun.name,
            "nouns": noun.plural,
            "a_noun": with_article(noun.name),
            "other": asked.other,
            **dict(asked.slots),
        }
        ways = phrasings(asked.form)
        known = [way for way in ways if not way.held_out]
        way = known[0] if asked.kind == "existence" else self._pick(known)
        question = way.template.format(**values)
        names = (noun.name, noun.plural, *((other.name,) if other else ()))
        targets = tuple(i for i, o in enumerate(self.scene.objects) if o.noun in (asked.noun, asked.other))
        return Sample(
            sample_id=f"{self.image_id}/{asked.kind}/{suffix}",
            image_id=self.image_id,
            kind=asked.kind,
            question=question,
            answer=asked.answer,
            split=split,
            detail=asked.detail,
            target=asked.noun,
            target_objects=targets,
            protected=tuple(
                w for w in (*names, *asked.protected) if w in question.replace("?", " ").split() or " " in w
            ),
            synonyms=self._synonyms(question, asked.noun),
            rephrasings=tuple(way.template.format(**values) for way in ways if way.held_out),
            absent=self.absent,
            alternatives=asked.alternatives,
            scorers=("pope",) if asked.kind == "existence" else ("values",),
        )

    def _synonyms(self, question: str, name: str) -> tuple[tuple[str, str], ...]:
        """Replacements of the asked noun, with the article where it would change."""
        noun = BY_NAME[name]
        words = question.rstrip("?.").split()
        pairs = []
        for singular, plural in noun.synonyms:
            if with_article(noun.name) in question and noun.name in words:
                pairs.append((with_article(noun.name), with_article(singular)))
            elif noun.name in words:
                pairs.append((noun.name, singular))
            elif noun.plural in words:
                pairs.append((noun.plural, plural))
        return tuple(pairs)

    def existence(self, together: CoOccurrence) -> Iterator[Sample]:
        """POPE: three present and three absent objects per sampling, alternating; none for a scene of few classes."""
        present = facts.present(self.scene)
        if len(present) < PAIRS:
            return
        positives = [present[i] for i in self.rng.permutation(len(present))[:PAIRS]]
        for sampling in SAMPLINGS:
            absent = together.absent(sampling, present, positives, self.rng)
            asked = [item for pair in zip(positives, absent, strict=True) for item in pair]
            for number, noun in enumerate(asked, start=1):
                there = noun in present
                claim = f"There is {'no ' + noun if there else with_article(noun)} in the image."
                yield self._sample(
                    _Asked(
                        "existence", "existence/singular", "yes" if there else "no", noun,
                        detail="singular", alternatives=(claim,),
                    ),
                    f"{sampling}/{number}",
                    sampling,
                )  # fmt: skip

    def colour(self) -> Iterator[Sample]:
        """Colours of classes that occur once."""
        singles = facts.single(self.scene)
        chosen = self.rng.permutation(len(singles))[:PER_KIND]
        for number, noun in enumerate((list(singles)[i] for i in chosen), start=1):
            truth = singles[noun].colour
            wrong = self._pick([colour for colour in COLOURS if colour != truth])
            claim = (f"The {noun} is {wrong}.",)
            yield self._sample(
                _Asked("colour", "colour", truth, noun, protected=("colour",), alternatives=claim), str(number)
            )

    def count(self) -> Iterator[Sample]:
        """Numbers from 1 to 4, each number that the scene offers equally likely."""
        counted = {noun: n for noun, n in facts.counts(self.scene).items() if n <= facts.MOST_COUNTED}
        for number in range(1, PER_KIND + 1):
            if not counted:
                return
            truth = self._pick(sorted(set(counted.values())))
            noun = self._pick([name for name, n in counted.items() if n == truth])
            del counted[noun]
            wrong = self._pick([n for n in range(1, facts.MOST_COUNTED + 1) if n != truth])
            claim = f"There {'is' if wrong == 1 else 'are'} {wrong} {noun if wrong == 1 else BY_NAME[noun].plural}."
            asked = _Asked(
                "count", "count", str(truth), noun, detail=str(truth), protected=("many", "number"),
                alternatives=(claim,),
            )  # fmt: skip
            yield self._sample(asked, str(number))

    def relation(self) -> Iterator[Sample]:
        """One relation along each axis, as a claim to confirm or as a choice between two sides."""
        found = facts.relations(self.scene)
        for axis in ("horizontal", "vertical"):
            fitting = tuple(relation for relation in found if relation.axis == axis)
            if not fitting:
                continue
            relation = self._pick(fitting)
            wrong = SIDES[_OPPOSITE[relation.side]]
            claim = (f"The {relation.noun} is {wrong} the {relation.other}.",)
            sides = ("left", "right") if axis == "horizontal" else ("above", "below")
            if self.rng.random() < 0.5:
                form, answer = "relation/choice", relation.side
                slots = (("options", OPTIONS[relation.axis]),)
            else:
                claimed = self._pick(sides)
                form, answer = "relation/holds", "yes" if claimed == relation.side else "no"
                slots = (("side", SIDES[claimed]),)
            asked = _Asked(
                "relation", form, answer, relation.noun, relation.other, axis, slots, sides, claim
            )  # fmt: skip
            yield self._sample(asked, axis)

    def compositional(self) -> Iterator[Sample]:
        """Two look-ups and a comparison: do two single objects have the same colour?"""
        singles = facts.single(self.scene)
        pairs = [(a, b) for a in singles for b in singles if a != b]
        if not pairs:
            return
        wanted = self.rng.random() < 0.5
        fitting = [pair for pair in pairs if (singles[pair[0]].colour == singles[pair[1]].colour) == wanted] or pairs
        noun, other = self._pick(fitting)
        same = singles[noun].colour == singles[other].colour
        claim = (f"The {noun} and the {other} have {'different colours' if same else 'the same colour'}.",)
        asked = _Asked(
            "compositional", "compositional", "yes" if same else "no", noun, other,
            protected=("same", "colour"), alternatives=claim,
        )  # fmt: skip
        yield self._sample(asked, "1")

    def caption(self) -> Iterator[Sample]:
        """A description of the whole scene."""
        ways = phrasings("caption")
        way = self._pick([way for way in ways if not way.held_out])
        yield Sample(
            sample_id=f"{self.image_id}/caption/1",
            image_id=self.image_id,
            kind="caption",
            question=way.template,
            answer=facts.caption(self.scene),
            rephrasings=tuple(way.template for way in ways if way.held_out),
            absent=self.absent,
            alternatives=tuple(f"There is {name} in the image." for name in self.absent[:1]),
            scorers=("chair",),
            facts={"objects": list(facts.present(self.scene))},
            asks="caption",
        )

    def chosen(self, together: CoOccurrence, pairs: int, per_kind: int) -> list[Sample]:
        """Those of `all` that a study asks, word for word the same however many these are.

        Args:
            together: of the sampled scenes.
            pairs: present and absent objects in each of POPE's samplings.
            per_kind: most questions about colour, number and relation.
        """
        found = list(self.all(together))
        limit = {"existence": 2 * pairs, "colour": per_kind, "count": per_kind, "relation": per_kind}
        axes = [sample.sample_id for sample in found if sample.kind == "relation"]
        order = {axes[i]: place for place, i in enumerate(self.rng.permutation(len(axes)), start=1)}
        numbers: Counter[tuple[str, str]] = Counter()
        kept = []
        for sample in found:
            numbers[sample.kind, sample.split] += 1
            place = order.get(sample.sample_id, numbers[sample.kind, sample.split])
            if place <= limit.get(sample.kind, place):
                kept.append(sample)
        return kept

    def all(self, together: CoOccurrence) -> Iterator[Sample]:
        """Every question on the scene."""
        yield from self.existence(together)
        yield from self.colour()
        yield from self.count()
        yield from self.relation()
        yield from self.compositional()
        yield from self.caption()
