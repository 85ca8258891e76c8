"""The stage `draw_scenes`: its tables are whole, and the same at every run."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import UnidentifiedImageError

from pruneproof.answering.grid import sheets
from pruneproof.benchmarks import Request, scenes, stage
from pruneproof.errors import PruneProofError
from pruneproof.files import read_json, read_rows
from pruneproof.folders import Folders
from pruneproof.records import Condition, sample_from_row
from pruneproof.settings import Study


def study(images: int) -> Study:
    return Study.model_validate(
        {
            "study": {"name": "tiny", "seed": 9},
            "benchmark": {"name": "scenes", "images": images},
            "backbones": {},
            "methods": {"full": {"method": "full"}},
        }
    )


def test_tables_are_written_and_repeatable(tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        folders = Folders(tmp_path / name)
        stage.run(study(3), folders)
        contents.append({path.name: path.read_bytes() for path in sorted(folders.benchmark.iterdir())})
    assert contents[0] == contents[1]
    assert set(contents[0]) == {
        "images.parquet",
        "objects.parquet",
        "samples.parquet",
        "shared.json",
        "manifest.json",
    }


def test_rows_refer_to_each_other(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    stage.run(study(3), folders)
    images = {row["image_id"] for row in read_rows(folders.benchmark / "images.parquet")}
    objects = {(row["image_id"], row["object_id"]) for row in read_rows(folders.benchmark / "objects.parquet")}
    samples = [sample_from_row(row) for row in read_rows(folders.benchmark / "samples.parquet")]
    assert len(images) == 3
    assert {image_id for image_id, _ in objects} == images
    for sample in samples:
        assert sample.image_id in images
        assert all((sample.image_id, number) in objects for number in sample.target_objects)
    manifest = read_json(folders.benchmark / "manifest.json")
    assert sum(manifest["samples"].values()) == len(samples)


def test_questions_without_protected_words_get_them_and_the_manifest_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = scenes.build(Request(2, 9), scenes.Options())
    bare = tuple(replace(sample, protected=()) if sample.kind == "count" else sample for sample in whole.samples)
    monkeypatch.setattr(scenes, "build", lambda *_: replace(whole, samples=bare))
    folders = Folders(tmp_path)
    stage.run(study(2), folders)
    samples = [sample_from_row(row) for row in read_rows(folders.benchmark / "samples.parquet")]
    for before, after in zip(whole.samples, samples, strict=True):
        assert after.protected == before.protected or (
            before.kind == "count" and set(before.protected) <= {*after.protected}
        )
    counts = read_json(folders.benchmark / "manifest.json")["protected"]
    asked = {(sample.image_id, sample.question) for sample in samples if sample.asks != "caption"}
    assert counts["found"] == sum(sample.kind == "count" for sample in samples) > 0
    assert sum(counts.values()) == len(asked)


def test_the_first_scenes_of_a_larger_study_are_the_same(tmp_path: Path) -> None:
    pixels = []
    for images in (2, 4):
        folders = Folders(tmp_path / str(images))
        stage.run(study(images), folders)
        pixels.append([row["png"] for row in read_rows(folders.benchmark / "images.parquet")][:2])
    assert pixels[0] == pixels[1]


def test_an_unknown_benchmark_is_named_with_those_that_exist(tmp_path: Path) -> None:
    from pruneproof.errors import PruneProofError

    wrong = study(2).model_copy(update={"benchmark": study(2).benchmark.model_copy(update={"name": "scene"})})
    with pytest.raises(PruneProofError, match="scenes"):
        stage.run(wrong, Folders(tmp_path))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ({"png": b""}, "is in no known format"),
        ({"png": b"\x89PNG\r\n\x1a\n cut"}, "is in no known format"),
        ({"width": 225}, "has 224 x 224 pixels, not 225 x 224"),
    ],
)
def test_a_picture_that_later_stages_cannot_use_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: dict[str, Any], said: str
) -> None:
    whole = scenes.build(Request(2, 9), scenes.Options())
    samples = tuple(replace(sample, target_objects=()) for sample in whole.samples)
    damaged = replace(whole, images=(whole.images[0], {**whole.images[1], **damage}), objects=(), samples=samples)
    monkeypatch.setattr(scenes, "build", lambda *_: damaged)
    with pytest.raises(PruneProofError, match=f"scenes has 1 problem:\n  image 'scene_00001': the picture {said}"):
        stage.run(study(2), Folders(tmp_path))
    assert not Folders(tmp_path).benchmark.exists()


def test_a_picture_cut_off_anywhere_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = scenes.build(Request(2, 9), scenes.Options())
    png = whole.images[0]["png"]
    # After that, all pixels may be there and only a checksum missing.
    for end in range(0, len(png) * 9 // 10, len(png) // 40):
        cut = replace(whole, images=({**whole.images[0], "png": png[:end]}, whole.images[1]))
        monkeypatch.setattr(scenes, "build", lambda *_, cut=cut: cut)
        with pytest.raises(PruneProofError, match=r"cannot be decoded|no known format"):
            stage.run(study(2), Folders(tmp_path))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            FileNotFoundError(2, "No such file or directory", "annotations.json"),
            "annotations.json (No such file or directory)",
        ),
        (OSError("damaged: byte 7\nof 9"), "damaged: byte 7"),
        (UnidentifiedImageError("cannot identify image file 'a.png'"), "cannot identify image file 'a.png'"),
    ],
)
@pytest.mark.parametrize("function", ["build", "needs"])
def test_a_file_that_a_benchmark_cannot_read_is_one_line(
    function: str, error: OSError, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(scenes, function, fail, raising=False)
    with pytest.raises(PruneProofError) as caught:
        stage.run(study(2), Folders(tmp_path))
    assert str(caught.value) == (
        f"benchmark 'scenes' cannot read what it needs: {said}: restore it, or change `benchmark.options`"
    )
    assert not Folders(tmp_path).benchmark.exists()


def test_a_full_disk_is_not_the_benchmarks_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "cache")

    monkeypatch.setattr(scenes, "build", fail)
    with pytest.raises(OSError, match="No space left"):
        stage.run(study(2), Folders(tmp_path))


def test_a_benchmark_that_later_stages_cannot_use_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = scenes.build(Request(2, 9), scenes.Options())
    monkeypatch.setattr(scenes, "build", lambda *_: replace(whole, images=(*whole.images, whole.images[0])))
    with pytest.raises(PruneProofError, match="image 'scene_00000' occurs 2 times"):
        stage.run(study(2), Folders(tmp_path))
    assert not Folders(tmp_path).benchmark.exists()


def test_dialogues_of_more_turns_than_questions_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = scenes.build(Request(2, 9), scenes.Options())
    questions = {sample.question: sample for sample in whole.samples if sample.image_id == "scene_00000"}
    few = [sample for sample in questions.values() if sample.asks != "caption"][:2]
    monkeypatch.setattr(scenes, "build", lambda *_: replace(whole, samples=tuple(few)))
    answering = {"dialogues": {"turns": 3, "select_by": ["first"]}}
    asking = Study.model_validate(study(2).model_dump() | {"answering": answering})
    with pytest.raises(PruneProofError, match=r"turns is 3, but no image .* has more than 2 different"):
        stage.run(asking, Folders(tmp_path))
    stage.run(study(2), Folders(tmp_path))
    with pytest.raises(PruneProofError, match=r"turns is 3, but no image has so many different questions"):
        list(sheets(asking, Folders(tmp_path), True, [Condition("dialogue", "dialogue_first", 1)]))


def test_kinds_that_are_not_asked_are_refused_before_anything_is_answered(tmp_path: Path) -> None:
    scoring = {"scoring": {"kinds": ["sound"]}}
    with pytest.raises(PruneProofError, match=r"scoring.kinds: benchmark scenes asks no sound; its kinds: existence, "):
        stage.run(Study.model_validate(study(2).model_dump() | scoring), Folders(tmp_path))
