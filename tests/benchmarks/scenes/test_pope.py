"""POPE's samplings, by hand."""

from __future__ import annotations

import numpy as np

from pruneproof.benchmarks.scenes.pope import CoOccurrence

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
