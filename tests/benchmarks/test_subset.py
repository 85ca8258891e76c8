"""Which pictures a study takes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from pruneproof.benchmarks import Request
from pruneproof.benchmarks._official import Entry, Found
from pruneproof.benchmarks._subset import drawn, without_missing

SOURCE = Path("asked.json")
PICTURES = [f"{number:03d}.jpg" for number in range(100)]


def taken(images: int | Literal["all"], seed: int = 1, pictures: list[str] = PICTURES) -> tuple[str, ...]:
    return drawn(pictures, Request(images, seed), SOURCE)


def test_all_are_taken_once_and_in_official_order() -> None:
    assert taken("all", pictures=["b", "a", "b", "c", "a"]) == ("b", "a", "c")


@given(st.permutations(PICTURES), st.integers(1, 100), st.integers(0, 2**32))
def test_the_order_of_files_changes_nothing_but_the_order(pictures: list[str], images: int, seed: int) -> None:
    chosen = taken(images, seed, pictures)
    assert len(chosen) == images
    assert set(chosen) == set(taken(images, seed))
    assert list(chosen) == [picture for picture in pictures if picture in set(chosen)]


@given(st.integers(1, 99), st.integers(0, 2**32))
def test_a_smaller_study_is_part_of_a_larger_one(images: int, seed: int) -> None:
    assert set(taken(images, seed)) < set(taken(images + 1, seed))


def test_each_picture_is_as_likely_as_any_other() -> None:
    counted = Counter(picture for seed in range(1000) for picture in taken(10, seed))
    times = [counted[picture] for picture in PICTURES]
    # Binomial(1000, 0.1): mean 100, standard deviation 9.5; 100 pictures stay within 4 of them.
    assert 62 < min(times) <= max(times) < 138


def test_too_few_are_noted_with_both_numbers() -> None:
    request = Request(101, 1)
    assert len(drawn(PICTURES, request, SOURCE)) == 100
    told = "asked.json: has 100 pictures, but benchmark.images is 101: lower it, or write `null`"
    assert request.faults.too_few == told
    assert request.faults.lines == []  # nothing was left out


def test_a_picture_that_is_not_on_disk_is_noted_where_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "there.jpg").touch()
    (tmp_path / "folder.jpg").mkdir()
    request = Request("all", 1, tmp_path)
    named = [
        (name, Found(Entry(), SOURCE, line)) for line, name in enumerate(("there.jpg", "gone.jpg", "folder.jpg"), 1)
    ]
    assert without_missing(named, request) == ("there.jpg",)
    assert request.faults.lines == [
        f"asked.json, line 2: picture {tmp_path / 'gone.jpg'} is missing: add it",
        f"asked.json, line 3: picture {tmp_path / 'folder.jpg'} is missing: add it",
    ]
