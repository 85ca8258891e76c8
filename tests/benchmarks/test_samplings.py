"""POPE's samplings, by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.benchmarks._samplings import CoOccurrence, Sampling

IMAGES = [("car", "bus", "tree"), ("car", "bus", "kite"), ("car", "fish", "boat"), ("bus", "tree", "hat")]


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_frequency_and_companions_are_counted_over_images() -> None:
    together = CoOccurrence(IMAGES)
    assert together.popular()[:3] == ["bus", "car", "tree"]
    assert together.companions("bus")[:2] == ["car", "tree"]
    assert together.companions("fish") == ["boat", "car"]


def test_popular_takes_the_most_frequent_absent_classes() -> None:
    chosen = CoOccurrence(IMAGES).absent("popular", ("fish", "boat", "kite"), ["fish", "boat", "kite"], rng())
    assert chosen == ["bus", "car", "tree"]


def test_adversarial_walks_the_companions_of_each_positive() -> None:
    chosen = CoOccurrence(IMAGES).absent("adversarial", ("bus", "fish", "hat"), ["bus", "fish", "hat"], rng())
    assert chosen == ["car", "boat", "tree"]


def test_nothing_present_or_asked_before_is_chosen_and_gaps_are_filled_at_random() -> None:
    together = CoOccurrence(IMAGES)
    for seed in range(20):
        for sampling in ("random", "popular", "adversarial"):
            present = ("kite", "fish", "boat")
            chosen = together.absent(sampling, present, list(present), np.random.default_rng(seed))  # type: ignore[arg-type]
            assert len(set(chosen)) == 3
            assert not set(chosen) & set(present)


def test_two_images_that_show_everything_take_what_neither_shows() -> None:
    images = [("car", "bus", "tree"), ("car", "bus", "kite")]
    chosen = CoOccurrence(images, ["car", "bus", "tree", "kite", "fish", "hat"]).absent(
        "popular", images[0], list(images[0]), rng()
    )
    assert chosen[0] == "kite"
    assert set(chosen[1:]) == {"fish", "hat"}


def official(images: list[list[str]], strategy: str) -> list[list[str]]:
    """AoiDragon/POPE `utils.py::pope`: each image's absent objects, `?` where it draws one at random."""
    frequency: dict[str, int] = {}
    together: dict[str, dict[str, int]] = {}
    for objects in images:
        for name in objects:
            frequency[name] = frequency.get(name, 0) + 1
            counted = together.setdefault(name, {})
            for other in objects:
                if other != name:
                    counted[other] = counted.get(other, 0) + 1
    asked = []
    for objects in images:
        history: list[str] = []
        chosen = []
        for positive in objects[:3]:
            history.append(positive)
            table = frequency if strategy == "popular" else together[positive]
            ranking = [name for name, _ in sorted(table.items(), key=lambda item: item[1], reverse=True)]
            free = next((name for name in ranking if name not in history and name not in objects), "?")
            history.append(free)
            chosen.append(free)
            if free == "?":  # what it draws decides what is free for the next
                break
        asked.append(chosen)
    return asked


@given(
    st.lists(st.lists(st.sampled_from("abcdefghijkl"), min_size=3, max_size=7, unique=True), min_size=2, max_size=12),
    st.sampled_from(["popular", "adversarial"]),
)
def test_with_ties_as_seen_the_official_code_chooses_the_same(images: list[list[str]], strategy: Sampling) -> None:
    together = CoOccurrence(images, ties="seen")
    for objects, expected in zip(images, official(images, strategy), strict=True):
        chosen = together.absent(strategy, objects, objects[:3], rng())
        fixed = expected[:-1] if expected[-1] == "?" else expected
        assert chosen[: len(fixed)] == fixed
