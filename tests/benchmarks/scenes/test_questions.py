"""Questions: every answer is re-derived here from the objects alone."""

from __future__ import annotations

from collections import Counter
from functools import cache

from pruneproof.benchmarks import Benchmark, Request
from pruneproof.benchmarks.scenes import Options, build
from pruneproof.benchmarks.scenes.phrasings import HELD_OUT, PHRASINGS, phrasings
from pruneproof.benchmarks.scenes.vocabulary import BY_NAME
from pruneproof.records import Sample


@cache
def benchmark() -> Benchmark:
    return build(Request(14, 5), Options())


def objects(sample: Sample) -> list[dict[str, object]]:
    return [dict(row) for row in benchmark().objects if row["image_id"] == sample.image_id]


def centre(row: dict[str, object]) -> tuple[float, float]:
    return (float(str(row["x0"])) + float(str(row["x1"]))) / 2, (float(str(row["y0"])) + float(str(row["y1"]))) / 2


def of(kind: str) -> list[Sample]:
    return [sample for sample in benchmark().samples if sample.kind == kind]


def test_pope_asks_three_present_and_three_absent_objects_in_each_sampling() -> None:
    groups = Counter((s.image_id, s.split, s.answer) for s in of("existence"))
    assert groups
    assert set(groups.values()) == {3}
    for sample in of("existence"):
        there = any(row["noun"] == sample.target for row in objects(sample))
        assert sample.answer == ("yes" if there else "no")
        assert sample.question in (
            f"Is there a {sample.target} in the image?",
            f"Is there an {sample.target} in the image?",
        )


def test_the_same_positives_are_asked_in_all_samplings() -> None:
    asked: dict[str, set[tuple[str, ...]]] = {}
    for image_id in {s.image_id for s in of("existence")}:
        for split in ("random", "popular", "adversarial"):
            positives = tuple(
                s.target for s in of("existence") if s.image_id == image_id and s.split == split and s.answer == "yes"
            )
            asked.setdefault(image_id, set()).add(positives)
    assert all(len(sets) == 1 for sets in asked.values())


def test_colours_and_counts_are_those_of_the_objects() -> None:
    for sample in of("colour"):
        assert [row["colour"] for row in objects(sample) if row["noun"] == sample.target] == [sample.answer]
    for sample in of("count"):
        assert sum(row["noun"] == sample.target for row in objects(sample)) == int(sample.answer)


def test_relations_follow_from_the_boxes() -> None:
    for sample in of("relation"):
        rows = {str(row["noun"]): row for row in objects(sample)}
        other = next(name for name in sample.protected if name in rows and name != sample.target)
        (ax, ay), (bx, by) = centre(rows[sample.target]), centre(rows[other])
        side = ("left" if ax < bx else "right") if sample.detail == "horizontal" else ("above" if ay < by else "below")
        if sample.answer in ("yes", "no"):
            opposite = {"left": "right", "right": "left", "above": "below", "below": "above"}[side]
            assert (side in sample.question) == (sample.answer == "yes")
            assert (opposite in sample.question) == (sample.answer == "no")
        else:
            assert sample.answer == side


def test_compositional_questions_compare_two_colours() -> None:
    for sample in of("compositional"):
        colours = {str(row["noun"]): row["colour"] for row in objects(sample)}
        names = [name for name in sample.protected if name in colours]
        assert (colours[names[0]] == colours[names[1]]) == (sample.answer == "yes")


def test_captions_name_every_class_and_no_other() -> None:
    for sample in of("caption"):
        there = {str(row["noun"]) for row in objects(sample)}
        words = sample.answer.replace(",", "").split()
        named = {noun.name for noun in BY_NAME.values() if noun.name in words or noun.plural in words}
        assert named == there


def test_rephrasings_are_the_held_out_phrasings_and_questions_use_the_others() -> None:
    for form, templates in PHRASINGS.items():
        assert len(templates) - HELD_OUT >= 8
        held_out = [way.template for way in phrasings(form) if way.held_out]
        assert len(held_out) == HELD_OUT
        assert len(set(templates)) == len(templates)
    for sample in benchmark().samples:
        assert sample.question not in sample.rephrasings
        assert len(sample.rephrasings) == HELD_OUT


def test_ids_are_unique_and_synonyms_stand_in_their_question() -> None:
    samples = benchmark().samples
    assert len({s.sample_id for s in samples}) == len(samples)
    for sample in samples:
        for word, _ in sample.synonyms:
            assert word in sample.question


def test_fewer_questions_of_a_scene_are_some_of_its_questions_word_for_word() -> None:
    few = build(Request(14, 5), Options(pope_pairs=2, per_kind=1))
    assert few.images == benchmark().images
    whole = {sample.sample_id: sample for sample in benchmark().samples}
    assert all(whole[sample.sample_id] == sample for sample in few.samples)
    assert set(Counter((s.image_id, s.split, s.answer) for s in few.samples if s.kind == "existence").values()) == {2}
    for kind in ("colour", "count", "relation"):
        asked = Counter(s.image_id for s in few.samples if s.kind == kind)
        assert set(asked) == {s.image_id for s in of(kind)}
        assert set(asked.values()) == {1}
    assert {s.detail for s in few.samples if s.kind == "relation"} == {"horizontal", "vertical"}
    for kind in ("compositional", "caption"):
        assert [s for s in few.samples if s.kind == kind] == of(kind)
