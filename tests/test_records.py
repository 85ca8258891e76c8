from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.files import read_rows, write_rows
from pruneproof.records import CLEAN, SAMPLES, Condition, Sample, sample_from_row, sample_to_row

words = st.lists(st.text(), max_size=3).map(tuple)
samples = st.builds(
    Sample,
    sample_id=st.text(),
    image_id=st.text(),
    kind=st.sampled_from(["existence", "caption"]),
    question=st.text(),
    answer=st.text(),
    target_objects=st.lists(st.integers(0, 100), max_size=3).map(tuple),
    protected=words,
    synonyms=st.lists(st.tuples(st.text(), st.text()), max_size=2).map(tuple),
    rephrasings=words,
    absent=words,
    alternatives=words,
)


@given(samples)
def test_samples_survive_a_row(sample: Sample) -> None:
    assert sample_from_row(sample_to_row(sample)) == sample


def test_samples_survive_a_file(tmp_path: Path) -> None:
    sample = Sample(
        "scene_1/existence/random/0", "scene_1", "existence", "Is there a car?", "yes", split="random", target="car",
        target_objects=(3, 4), protected=("car",), synonyms=(("car", "auto"),), rephrasings=("Any car here?",),
        absent=("a dog",), alternatives=("The car is blue.",),
    )  # fmt: skip
    write_rows(tmp_path / "samples.parquet", [sample_to_row(sample)], SAMPLES)
    assert [sample_from_row(row) for row in read_rows(tmp_path / "samples.parquet")] == [sample]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [(CLEAN, "clean"), (Condition("image", "fog", 3), "fog_3"), (Condition("text", "typo_ocr", 1), "typo_ocr_1")],
)
def test_condition_ids(condition: Condition, expected: str) -> None:
    assert condition.condition_id == expected
