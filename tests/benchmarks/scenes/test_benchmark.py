"""Small benchmarks: two and three scenes have few classes that any of them lacks."""

from __future__ import annotations

from collections import Counter

import pytest

from pruneproof.benchmarks import Request, scenes


@pytest.mark.parametrize(("images", "seed"), [(2, 1), (2, 2), (2, 3), (2, 13), (3, 4)])
def test_few_scenes_are_asked_as_many_absent_as_present_objects(images: int, seed: int) -> None:
    benchmark = scenes.build(Request(images, seed), scenes.Options())
    answers = Counter(sample.answer for sample in benchmark.samples if sample.kind == "existence")
    assert answers["yes"] == answers["no"] > 0
    shown = {(row["image_id"], row["noun"]) for row in benchmark.objects}
    for sample in benchmark.samples:
        if sample.kind == "existence":
            assert ((sample.image_id, sample.target) in shown) == (sample.answer == "yes")
