"""POPE's official files, in small: what they give, and what is said about a bad one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import ValidationError

from pruneproof.benchmarks import Benchmark, Request, build, pope
from pruneproof.benchmarks._validation import require_sound
from pruneproof.errors import PruneProofError
from pruneproof.settings import BenchmarkSettings

SPLITS = ("random", "popular", "adversarial")
PRESENT = {"a.jpg": ("dog", "oven"), "b.jpg": ("car", "skis"), "c.jpg": ("cup", "dining table")}
ABSENT = {
    "random": {"a.jpg": ("kite", "bus"), "b.jpg": ("cup", "bus"), "c.jpg": ("kite", "bed")},
    "popular": {"a.jpg": ("person", "bus"), "b.jpg": ("person", "bus"), "c.jpg": ("person", "chair")},
    "adversarial": {"a.jpg": ("person", "cup"), "b.jpg": ("truck", "person"), "c.jpg": ("chair", "person")},
}


def rows(split: str) -> Iterator[dict[str, Any]]:
    """A file in the official order: present and absent objects by turns."""
    number = 0
    for image, present in PRESENT.items():
        for pair in zip(present, ABSENT[split][image], strict=True):
            for noun, label in zip(pair, ("yes", "no"), strict=True):
                number += 1
                text = f"Is there {'an' if noun[0] in 'aeiou' else 'a'} {noun} in the image?"
                yield {"question_id": number, "image": image, "text": text, "label": label}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "coco").mkdir()
    (tmp_path / "val2014").mkdir()
    for split in SPLITS:
        write(tmp_path, split, list(rows(split)))
    for image in PRESENT:
        Image.new("RGB", (40, 30)).save(tmp_path / "val2014" / image)
    return tmp_path


def write(folder: Path, split: str, lines: list[Any]) -> Path:
    """A split's file; strings are written as they are."""
    file = folder / "coco" / f"coco_pope_{split}.json"
    file.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return file


def built(folder: Path, **options: Any) -> tuple[Benchmark, list[str]]:
    """The benchmark, and what is noted, with paths from the folder."""
    request = Request("all", 0, folder)
    benchmark = pope.build(request, pope.Options.model_validate(options))
    return benchmark, [line.replace(f"{folder}/", "") for line in request.faults.lines]


def test_every_row_is_a_sample_in_official_order(folder: Path) -> None:
    benchmark, faults = built(folder)
    assert faults == []
    assert [(s.split, s.image_id, s.question, s.answer) for s in benchmark.samples] == [
        (split, row["image"], row["text"], row["label"]) for split in SPLITS for row in rows(split)
    ]
    assert [row["file"] for row in benchmark.images] == ["val2014/a.jpg", "val2014/b.jpg", "val2014/c.jpg"]
    first = benchmark.samples[0]
    assert first.sample_id == "a.jpg/existence/random/1"
    assert (first.kind, first.detail, first.scorers) == (
        "existence", "", ("pope", "pope_lmms_eval", "pope_vlmevalkit")
    )  # fmt: skip


def test_what_perturbations_need_is_read_from_the_question(folder: Path) -> None:
    asked = {(s.image_id, s.split, s.target): s for s in built(folder)[0].samples}
    table = asked["c.jpg", "popular", "dining table"]
    assert table.protected == ("dining table",)
    assert table.alternatives == ("There is no dining table in the image.",)
    assert table.absent == ("a kite", "a bed", "a person", "a chair")
    kite = asked["c.jpg", "random", "kite"]
    assert kite.alternatives == ("There is a kite in the image.",)
    assert kite.absent == ("a bed", "a person", "a chair")
    assert asked["b.jpg", "random", "skis"].alternatives == ("There are no skis in the image.",)


def test_a_question_of_several_splits_is_the_same_in_each(folder: Path) -> None:
    by_question: dict[tuple[str, str], set[Any]] = {}
    for s in built(folder)[0].samples:
        by_question.setdefault((s.image_id, s.question), set()).add((s.answer, s.protected, s.absent, s.alternatives))
    assert {len(found) for found in by_question.values()} == {1}
    assert len(by_question) == 18  # 6 present and 12 absent objects, in 36 rows


def test_a_subset_takes_all_questions_on_its_pictures(folder: Path) -> None:
    benchmark = pope.build(Request(2, 5, folder), pope.Options())
    taken = {row["image_id"] for row in benchmark.images}
    assert len(taken) == 2
    assert [s.sample_id for s in benchmark.samples] == [
        f"{row['image']}/existence/{split}/{row['question_id']}"
        for split in SPLITS
        for row in rows(split)
        if row["image"] in taken
    ]


def test_the_misprint_of_the_older_version_is_asked_as_it_is(folder: Path) -> None:
    lines = list(rows("random"))
    lines[2]["text"] = "Is there an oven in the imange?"
    write(folder, "random", lines)
    found = built(folder, splits=["random"], version="e3e3926")[0].samples[2]
    assert (found.question, found.target, found.protected) == ("Is there an oven in the imange?", "oven", ("oven",))


def test_of_a_question_of_another_form_no_object_is_known(folder: Path) -> None:
    lines = list(rows("random"))
    lines[0]["text"] = "Do you see a dog?"
    write(folder, "random", lines)
    benchmark, faults = built(folder, splits=["random"], version="own")
    assert (benchmark.samples[0].target, benchmark.samples[0].protected, faults) == ("", (), [])


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (
            "Is there a dog?",
            "is not JSON (expected ident, character 2): 'Is there a dog?': restore the line, or remove it",
        ),
        ({"label": "maybe"}, "label is 'maybe'; allowed: 'yes' or 'no'"),
        ({"question_id": 1}, "question_id 1 is that of line 1: ids must be unique"),
        ({"image": "d.jpg"}, "picture val2014/d.jpg is missing: add it"),
        ({"text": ""}, "text is '': must not be empty"),
        ({"label": "yes"}, "label is 'yes', but 'no' in coco/coco_pope_random.json, line 2, about the same"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_asked(folder: Path, line: Any, fault: str) -> None:
    lines: list[Any] = list(rows("popular"))
    text = "Is there a kite in the image?"  # what line 2 of the random file says is absent
    lines[3] = line if isinstance(line, str) else lines[3] | {"text": text} | line
    write(folder, "popular", lines)
    benchmark, faults = built(folder, splits=["random", "popular"])
    assert len(faults) == 1
    assert faults[0].startswith(f"coco/coco_pope_popular.json, line 4: {fault}")
    assert len(benchmark.samples) == 23
    assert len(benchmark.images) == 3


def test_a_missing_picture_is_named_once_where_it_first_occurs(folder: Path) -> None:
    (folder / "val2014" / "b.jpg").unlink()
    benchmark, faults = built(folder)
    assert faults == ["coco/coco_pope_random.json, line 5: picture val2014/b.jpg is missing: add it"]
    assert [row["image_id"] for row in benchmark.images] == ["a.jpg", "c.jpg"]
    assert {s.image_id for s in benchmark.samples} == {"a.jpg", "c.jpg"}


def test_an_empty_split_is_named(folder: Path) -> None:
    write(folder, "popular", [])
    assert built(folder)[1] == ["coco/coco_pope_popular.json: is empty: restore it"]


def test_a_split_of_which_no_picture_is_taken_is_named(folder: Path) -> None:
    write(folder, "popular", [row | {"image": "a.jpg"} for row in rows("popular") if row["image"] == "a.jpg"])
    (folder / "val2014" / "a.jpg").unlink()
    assert built(folder)[1][1:] == ["coco/coco_pope_popular.json: no question of the split popular is left to ask"]


def test_faults_stop_a_study_or_are_reported_as_it_says(folder: Path) -> None:
    lines = list(rows("random"))
    file = write(folder, "random", ["?", *lines[1:]])
    settings = {"name": "pope", "images": None, "folder": ".", "options": {"splits": ["random"]}}
    with pytest.raises(PruneProofError) as stopped:
        build(BenchmarkSettings.model_validate(settings), 0, folder)
    said = f"{file}, line 1: is not JSON (expected value, character 1): '?': restore the line, or remove it"
    assert str(stopped.value) == f"benchmark pope has 1 problem:\n  {said}"
    benchmark = build(BenchmarkSettings.model_validate(settings | {"on_bad_sample": "skip"}), 0, folder)
    assert len(benchmark.samples) == 11
    assert benchmark.left_out == (said,)
    assert benchmark.too_few == ""


def test_fewer_pictures_than_asked_for_leave_nothing_out(folder: Path) -> None:
    settings = {"name": "pope", "images": 5, "folder": ".", "options": {"splits": ["random"]}}
    said = f"{folder / 'coco'}: has 3 pictures, but benchmark.images is 5: lower it, or write `null`"
    with pytest.raises(PruneProofError) as stopped:
        build(BenchmarkSettings.model_validate(settings), 0, folder)
    assert str(stopped.value) == f"benchmark pope has 1 problem:\n  {said}"
    benchmark = build(BenchmarkSettings.model_validate(settings | {"on_bad_sample": "skip"}), 0, folder)
    assert (len(benchmark.images), benchmark.left_out, benchmark.too_few) == (3, (), said)


def test_objects_come_from_coco_where_they_are_wanted(folder: Path) -> None:
    outline = [[5, 5, 15, 5, 15, 15, 5, 15]]
    objects = [(1, 18, [5, 5, 10, 10]), (1, 3, [0, 0, 4, 4]), (1, 18, [20, 5, 10, 10]), (2, 3, [1, 1, 8, 8])]
    content = {
        "images": [
            {"id": number, "file_name": name, "width": 40, "height": 30}
            for number, name in ((1, "a.jpg"), (2, "z.jpg"))
        ],
        "categories": [{"id": 3, "name": "car"}, {"id": 18, "name": "dog"}],
        "annotations": [
            {"image_id": image, "category_id": category, "bbox": box, "segmentation": outline}
            for image, category, box in objects
        ],
    }
    (folder / "instances.json").write_text(json.dumps(content))
    benchmark, faults = built(folder, instances="instances.json")
    assert faults == []
    assert [(row["image_id"], row["noun"], bool(row["mask"])) for row in benchmark.objects] == [
        ("a.jpg", "dog", True), ("a.jpg", "car", False), ("a.jpg", "dog", True)
    ]  # fmt: skip
    assert [row.get("width") for row in benchmark.images] == [40, None, None]
    assert {s.target: s.target_objects for s in benchmark.samples if s.target_objects} == {"dog": (0, 2)}


def test_what_it_gives_is_sound(folder: Path) -> None:
    settings = BenchmarkSettings(name="pope", images=None, folder=".")
    require_sound("pope", build(settings, 0, folder))


def test_the_files_of_a_version_and_the_pictures_are_needed() -> None:
    found = pope.needs(pope.Options(version="e3e3926", splits=("random",), questions="x"))
    assert [need.path for need in found] == ["x/coco_pope_random.json", "val2014"]
    assert "/e3e39262c85a6a83f26cf5094022a782cb0df58d/output/coco/coco_pope_random.json" in found[0].url
    assert (found[0].bytes, len(found[0].sha256)) == (360212, 64)
    assert pope.needs(pope.Options(version="own"))[0].sha256 == ""


def test_splits_are_named_once() -> None:
    with pytest.raises(ValidationError, match="must not repeat a split"):
        pope.Options(splits=("random", "random"))
    with pytest.raises(ValidationError):
        pope.Options(splits=())
