"""POPE built from COCO's annotations, in small."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pruneproof.benchmarks import Benchmark, Request, pope_from_coco
from pruneproof.errors import PruneProofError
from pruneproof.pictures import read_mask

NAMES = {1: "person", 3: "car", 18: "dog", 44: "bottle", 62: "chair", 67: "dining table", 79: "oven"}
SHOWN = {10: (1, 3, 18), 11: (1, 3, 62), 12: (1, 62, 67), 13: (1, 3), 14: (1, 67, 79, 62)}
"""Categories in each picture; 13 has too few without its captions."""
INSTANCES = "annotations/instances_val2014.json"
SYNONYMS = "person, man\ncar, taxi\ndog, puppy\nbottle\nchair\ndining table, table\noven, stove\n"


def coco(folder: Path) -> dict[str, Any]:
    """Write everything that the benchmark reads; returns the instances."""
    content: dict[str, Any] = {
        "images": [
            {"id": image, "file_name": f"{image}.jpg", "width": 40, "height": 30, "license": 3} for image in SHOWN
        ],
        "categories": [{"id": number, "name": name, "supercategory": "any"} for number, name in NAMES.items()],
        "annotations": [
            {
                "id": 100 * image + place,
                "image_id": image,
                "category_id": category,
                "bbox": [10 * place, 5, 8, 6.5],
                "segmentation": [[10 * place, 5, 10 * place + 8, 5, 10 * place + 8, 11.5, 10 * place, 11.5]],
                "iscrowd": 0,
            }
            for image, categories in SHOWN.items()
            for place, category in enumerate(categories)
        ],
    }
    (folder / "annotations").mkdir()
    (folder / "val2014").mkdir()
    write(folder, content)
    captions = [{"id": 1, "image_id": 13, "caption": "A man and a puppy in a taxi. "}]
    (folder / "annotations" / "captions_val2014.json").write_text(json.dumps({"annotations": captions}))
    (folder / "synonyms.txt").write_text(SYNONYMS)
    for image in SHOWN:
        (folder / "val2014" / f"{image}.jpg").touch()
    return content


def write(folder: Path, content: Any) -> None:
    (folder / INSTANCES).write_text(json.dumps(content))


def built(folder: Path, images: Any = "all", seed: int = 0, **options: Any) -> tuple[Benchmark, list[str]]:
    request = Request(images, seed, folder)
    benchmark = pope_from_coco.build(request, pope_from_coco.Options.model_validate(options))
    few = [request.faults.too_few] if request.faults.too_few else []
    return benchmark, [line.replace(f"{folder}/", "") for line in [*few, *request.faults.lines]]


def test_captions_name_objects_that_nobody_segmented(tmp_path: Path) -> None:
    coco(tmp_path)
    benchmark, faults = built(tmp_path)
    assert faults == []
    assert [row["image_id"] for row in benchmark.images] == ["10.jpg", "11.jpg", "12.jpg", "13.jpg", "14.jpg"]
    asked = {s.target: s for s in benchmark.samples if s.image_id == "13.jpg" and s.answer == "yes"}
    assert sorted(asked) == ["car", "dog", "person"]
    assert asked["dog"].target_objects == ()
    assert len(asked["car"].target_objects) == 1
    assert [row["image_id"] for row in built(tmp_path, captions="")[0].images] == [
        "10.jpg", "11.jpg", "12.jpg", "14.jpg"
    ]  # fmt: skip


def test_each_sampling_asks_three_present_and_three_absent_objects_by_turns(tmp_path: Path) -> None:
    coco(tmp_path)
    for seed in range(10):
        benchmark, _ = built(tmp_path, seed=seed, captions="")
        for image, categories in SHOWN.items():
            there = {NAMES[category] for category in categories}
            positives = []
            for split in ("random", "popular", "adversarial"):
                rows = [s for s in benchmark.samples if (s.image_id, s.split) == (f"{image}.jpg", split)]
                if image == 13:
                    assert rows == []
                    continue
                assert [s.answer for s in rows] == ["yes", "no"] * 3
                assert len({s.target for s in rows}) == 6
                assert all((s.target in there) == (s.answer == "yes") for s in rows)
                positives.append([s.target for s in rows[::2]])
            assert all(asked == positives[0] for asked in positives)


def test_popular_asks_what_most_of_the_drawn_pictures_show(tmp_path: Path) -> None:
    coco(tmp_path)
    benchmark, _ = built(tmp_path, captions="")
    # person 4, chair 3, car 2, dining table 2, dog 1, oven 1
    asked = [s.target for s in benchmark.samples if (s.image_id, s.split, s.answer) == ("10.jpg", "popular", "no")]
    assert asked == ["chair", "dining table", "oven"]
    asked = [s.target for s in benchmark.samples if (s.image_id, s.split, s.answer) == ("14.jpg", "popular", "no")]
    assert asked[:2] == ["car", "dog"]


def test_objects_have_boxes_and_those_asked_for_outlines(tmp_path: Path) -> None:
    content = coco(tmp_path)
    content["annotations"][0]["bbox"] = [30, 20, 20, 10]  # beyond the picture's right edge
    content["annotations"][0]["segmentation"] = {"counts": [1190, 10], "size": [30, 40]}
    content["annotations"].append(content["annotations"][1] | {"bbox": [3, 3, 0, 5]})
    write(tmp_path, content)
    benchmark, faults = built(tmp_path)
    assert faults == []
    rows = [row for row in benchmark.objects if row["image_id"] == "10.jpg"]
    assert [row["noun"] for row in rows] == ["person", "car", "dog"]  # a box of no width is none
    assert [rows[0][name] for name in ("x0", "y0", "x1", "y1")] == [30, 20, 40, 30]
    expected = np.zeros((30, 40), bool)
    expected[20:, 39] = True
    assert np.array_equal(read_mask(rows[0]["mask"]), expected)
    expected = np.zeros((30, 40), bool)
    expected[5:11, 10:18] = True
    assert np.array_equal(read_mask(rows[1]["mask"]), expected)
    four = [row for row in benchmark.objects if row["image_id"] == "14.jpg"]
    asked = {s.target for s in benchmark.samples if s.image_id == "14.jpg" and s.answer == "yes"}
    assert {row["noun"] for row in four if row["mask"]} == asked
    assert all(row["mask"] == b"" for row in built(tmp_path, masks=False)[0].objects)
    of = {(row["image_id"], row["object_id"]): row["noun"] for row in benchmark.objects}
    assert all(of[s.image_id, number] == s.target for s in benchmark.samples for number in s.target_objects)


def test_a_seed_decides_and_another_draws_otherwise(tmp_path: Path) -> None:
    coco(tmp_path)
    assert built(tmp_path, 3, seed=4) == built(tmp_path, 3, seed=4)
    drawn = Counter(row["image_id"] for seed in range(30) for row in built(tmp_path, 2, seed)[0].images)
    assert len(drawn) == 5


def test_all_objects_of_the_file_are_as_likely_to_be_absent_at_random(tmp_path: Path) -> None:
    coco(tmp_path)
    found = Counter(
        s.target
        for seed in range(60)
        for s in built(tmp_path, seed=seed, splits=["random"])[0].samples
        if s.image_id == "10.jpg" and s.answer == "no"
    )
    assert set(found) == {"chair", "dining table", "oven"}  # no drawn picture shows a bottle
    assert set(found.values()) == {60}


def changed(content: dict[str, Any], what: str) -> None:
    first = content["annotations"][0]
    match what:
        case "picture":
            first["image_id"] = 99
        case "category":
            first["category_id"] = 99
        case "box":
            first["bbox"] = [1, 2, 3]
        case "outline":
            first["segmentation"] = [[1, 2]]
        case "repeated":
            content["images"].append(content["images"][0])
        case "sizeless":
            content["images"][3]["width"] = 0


@pytest.mark.parametrize(
    ("what", "fault"),
    [
        ("picture", "annotations entry 1: image_id 99 is not among the file's images"),
        ("category", "annotations entry 1: category_id 99 is not among the file's categories"),
        ("box", "annotations entry 1: bbox is [1, 2, 3]: List should have at least 4 items"),
        ("outline", "annotations entry 1: segmentation should hold polygons of three or more points"),
        ("repeated", "images entry 6: id 10 is that of images entry 1: ids must be unique"),
        ("sizeless", "images entry 4: width is 0: should be greater than or equal to 1"),
    ],
)
def test_a_bad_entry_is_named(tmp_path: Path, what: str, fault: str) -> None:
    content = coco(tmp_path)
    changed(content, what)
    write(tmp_path, content)
    assert built(tmp_path)[1][0].startswith(f"{INSTANCES}: {fault}")


def test_too_few_pictures_and_missing_ones_are_named(tmp_path: Path) -> None:
    coco(tmp_path)
    (tmp_path / "val2014" / "12.jpg").unlink()
    benchmark, faults = built(tmp_path, 6)
    assert faults == [
        f"{INSTANCES}: has 5 pictures with 3 or more kinds of objects, but benchmark.images is 6: lower it, or write "
        "`null`",
        f"{INSTANCES}: images entry 3: picture val2014/12.jpg is missing: add it",
    ]
    assert [row["image_id"] for row in benchmark.images] == ["10.jpg", "11.jpg", "13.jpg", "14.jpg"]


def test_another_file_is_told_from_the_right_one(tmp_path: Path) -> None:
    coco(tmp_path)
    write(tmp_path, {"questions": []})
    with pytest.raises(PruneProofError, match=r"instances_val2014\.json: has no 'images': is it the right file"):
        built(tmp_path)
    write(tmp_path, {"images": [], "categories": [], "annotations": []})
    assert built(tmp_path)[1][:1] == [f"{INSTANCES}: 'images' is an empty list: restore the file"]


def test_synonyms_that_lack_a_category_are_named(tmp_path: Path) -> None:
    coco(tmp_path)
    (tmp_path / "synonyms.txt").write_text("person\n")
    with pytest.raises(PruneProofError, match="category 'car' is not in the file"):
        built(tmp_path)


def test_files_are_needed_as_options_say() -> None:
    every = [need.path for need in pope_from_coco.needs(pope_from_coco.Options())]
    assert every == [
        "annotations/instances_val2014.json", "annotations/captions_val2014.json", "synonyms.txt", "val2014"
    ]  # fmt: skip
    assert [need.path for need in pope_from_coco.needs(pope_from_coco.Options(captions=""))] == [every[0], every[3]]
