from __future__ import annotations

from pathlib import Path

import pytest

from pruneproof import space
from pruneproof.files import write_json, write_rows
from pruneproof.folders import Folders
from pruneproof.records import IMAGES
from pruneproof.settings import Study
from pruneproof.stored import columns

STUDY = Study.model_validate_json(
    """{"study": {"name": "a"}, "benchmark": {"images": 10},
    "perturbations": {"image": {"names": ["fog", "snow"], "severities": [1, 2]}},
    "backbones": {"one": {"family": "llava", "checkpoint": "a", "text_tower": "b"}},
    "methods": {"full": {"method": "full"}}, "scoring": {"primary": []}}"""
)


def drawn(folder: Path, width: int, height: int) -> Folders:
    row = {"image_id": "a", "group": "b", "width": width, "height": height, **columns(b"")}
    write_rows(folder / "data/benchmark/images.parquet", [row, row], IMAGES)
    return Folders(folder)


def batches(folders: Folders) -> int:
    return (space.needed(STUDY, folders) - space.REST_BYTES) // space.BATCH_BYTES


def test_pictures_count_with_their_conditions_and_copies(tmp_path: Path) -> None:
    small, large = drawn(tmp_path / "small", 100, 200), drawn(tmp_path / "large", 200, 300)
    pictures = 2 * 4  # of two pictures, which are drawn already, two corruptions at two severities
    difference = space.needed(STUDY, large) - space.needed(STUDY, small)
    assert difference == pictures * (60_000 - 20_000) * 1.5 * 3


def test_pictures_that_are_made_when_asked_about_take_no_room(tmp_path: Path) -> None:
    image = STUDY.perturbations.image.model_copy(update={"stored": False})
    made = STUDY.model_copy(update={"perturbations": STUDY.perturbations.model_copy(update={"image": image})})
    assert space.pictures_needed(made, Folders(tmp_path)) == 10 * 224 * 224 * 1.5 * 3, "those that are drawn"
    assert space.pictures_needed(made, drawn(tmp_path, 640, 480)) == 0


def test_pictures_take_as_much_as_those_that_are_finished(tmp_path: Path) -> None:
    folders = drawn(tmp_path, 640, 480)
    (tmp_path / "data/.corrupted").mkdir()
    (tmp_path / "data/.corrupted/a.parquet").write_bytes(bytes(700))
    assert space.pictures_needed(STUDY, folders) == 3 * 700 * 3


def test_the_size_of_pictures_is_the_towers_until_they_are_drawn(tmp_path: Path) -> None:
    assert space.picture_pixels(STUDY, Folders(tmp_path)) == 224 * 224
    assert space.picture_pixels(STUDY, drawn(tmp_path, 640, 480)) == 640 * 480


def test_photographs_at_their_own_size_count_as_coco_has_them_until_they_are_here(tmp_path: Path) -> None:
    pope = STUDY.model_copy(update={"benchmark": STUDY.benchmark.model_copy(update={"name": "pope"})})
    assert space.picture_pixels(pope, Folders(tmp_path)) == 640 * 480
    image = STUDY.perturbations.image.model_copy(update={"resolution": "model", "model_pixels": 336})
    smaller = pope.model_copy(update={"perturbations": pope.perturbations.model_copy(update={"image": image})})
    assert space.picture_pixels(smaller, Folders(tmp_path)) == 336 * 336


def test_what_is_there_is_not_needed_again(tmp_path: Path) -> None:
    folders = drawn(tmp_path, 640, 480)
    write_json(folders.corrupted / "manifest.json", {})
    before = batches(folders)
    assert before >= 5
    for name in "abc":
        write_json(folders.cells / name / f"{name}.cell", {})
    assert batches(folders) == before - 3
    for name in map(str, range(before)):
        write_json(folders.cells / name / f"{name}.cell", {})
    assert space.needed(STUDY, folders) == space.REST_BYTES
    folders.reports.mkdir(exist_ok=True)
    (folders.reports / "report.html").touch()
    assert space.needed(STUDY, folders) == 0


def test_both_plans_tell_one_number_of_bytes_for_pictures(tmp_path: Path) -> None:
    """Two pictures under four conditions, by their pixels, and then by the first finished one."""
    folders = drawn(tmp_path, 640, 480)
    assert space.corrupted_bytes(STUDY, folders) == space.pictures_needed(STUDY, folders) == 4 * 2 * 640 * 480 * 1.5 * 3
    assert space.pictures_told(STUDY, folders).startswith("of it 11 MB for pictures (3 copies: finished conditions, ")
    (tmp_path / "data/.corrupted").mkdir()
    (tmp_path / "data/.corrupted/a.parquet").write_bytes(bytes(700))
    assert space.corrupted_bytes(STUDY, folders) == 4 * 700 * 3
    assert space.pictures_needed(STUDY, folders) == 3 * 700 * 3


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 kB"),
        (1, "1 kB"),
        (3577, "4 kB"),
        (2_160_000, "2 MB"),
        (999_400, "999 kB"),
        (999_600, "1 MB"),
        (999_700_000, "1.0 GB"),
        (240_000_000, "240 MB"),
        (3_440_000_000, "3.4 GB"),
    ],
)
def test_sizes_are_said_as_a_person_says_them(count: int, text: str) -> None:
    assert space.size(count) == text
