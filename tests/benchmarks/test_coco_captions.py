"""COCO's captions as their authors publish them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pruneproof.benchmarks import Benchmark, Request, coco_captions
from pruneproof.errors import PruneProofError
from pruneproof.records import official_id
from pruneproof.scoring.scorers import Truth, chair

KARPATHY, CAPTIONS, INSTANCES = (
    "dataset_coco.json",
    "annotations/captions_val2014.json",
    "annotations/instances_val2014.json",
)
WRITTEN = {
    42: ["Two dogs on a couch.", "A puppy sleeps\n"],
    73: ["A motorcycle.", "A red bike near a tree."],
    99: ["A person waits."],
}


def file_name(image: int) -> str:
    return f"COCO_val2014_{image:012d}.jpg"


def karpathy() -> dict[str, Any]:
    splits = {42: "test", 73: "test", 99: "restval"}
    return {
        "dataset": "coco",
        "images": [
            {
                "filepath": "val2014",
                "filename": file_name(image),
                "imgid": number,
                "cocoid": image,
                "split": splits[image],
                "sentids": [],
                "sentences": [{"tokens": raw.lower().split(), "raw": raw, "imgid": number} for raw in captions],
            }
            for number, (image, captions) in enumerate(WRITTEN.items())
        ],
    }


def official() -> dict[str, Any]:
    return {
        "images": [{"id": image, "file_name": file_name(image), "width": 640, "height": 480} for image in WRITTEN],
        "annotations": [
            {"image_id": image, "id": 10 * image + number, "caption": caption}
            for image, captions in WRITTEN.items()
            for number, caption in enumerate(captions)
        ],
    }


def instances() -> dict[str, Any]:
    objects = [(42, 18), (42, 18), (73, 4)]
    return {
        "images": official()["images"],
        "categories": [{"id": 18, "name": "dog"}, {"id": 4, "name": "motorcycle"}, {"id": 63, "name": "couch"}],
        "annotations": [
            {"image_id": image, "category_id": category, "bbox": [1.0, 2.0, 30.0, 40.0], "id": number}
            for number, (image, category) in enumerate(objects)
        ],
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return filled(tmp_path)


def filled(folder: Path) -> Path:
    (folder / "annotations").mkdir()
    put(folder, KARPATHY, karpathy())
    put(folder, CAPTIONS, official())
    put(folder, INSTANCES, instances())
    (folder / "synonyms.txt").write_text("dog, puppy\nmotorcycle, motorbike\ncouch, sofa\nbicycle, bike\nperson, man\n")
    (folder / "val2014").mkdir()
    for image in WRITTEN:
        (folder / "val2014" / file_name(image)).touch()
    return folder


def put(folder: Path, name: str, content: Any) -> None:
    (folder / name).write_text(json.dumps(content))


def built(folder: Path, images: Any = "all", **options: Any) -> tuple[Benchmark, list[str]]:
    request = Request(images, 0, folder)
    return coco_captions.build(request, coco_captions.Options(**{"tokens": "plain"} | options)), request.faults.lines


def test_karpathys_test_pictures(folder: Path) -> None:
    found, faults = built(folder, prompt="Provide a one-sentence caption for the provided image.")
    assert faults == []
    assert [row["file"] for row in found.images] == [f"val2014/{file_name(42)}", f"val2014/{file_name(73)}"]
    dogs, bike = found.samples
    assert (dogs.sample_id, dogs.kind, dogs.asks) == (f"{file_name(42)}/42", "caption", "caption")
    assert dogs.question == "Provide a one-sentence caption for the provided image."
    assert dogs.answers == ("Two dogs on a couch.", "A puppy sleeps\n")
    assert dogs.answer == dogs.answers[0]
    assert dogs.scorers == ("coco_captions", "chair")
    # The couch has no mask, but people mention it; the bike is one of theirs, too.
    assert dogs.facts == {"objects": ["couch", "dog"]}
    assert bike.facts == {"objects": ["bicycle", "motorcycle"]}
    assert found.shared["tokens"] == "plain"
    assert found.shared["lexicon"]["puppy"] == "dog"
    assert "collection" not in found.shared


def test_chair_finds_what_it_needs(folder: Path) -> None:
    found, _ = built(folder)
    truths = [Truth(sample.answers, {**found.shared, **sample.facts}) for sample in found.samples]
    said = [
        chair.read(text, truth).prediction
        for text, truth in zip(["A dog and a man on a sofa.", "A motorbike."], truths, strict=True)
    ]
    printed = chair.figures(said, np.zeros(2), truths)
    assert printed == {"CHAIRs": 50.0, "CHAIRi": 25.0}


def test_all_of_val2014(folder: Path) -> None:
    found, faults = built(folder, split="val2014")
    assert faults == []
    assert [int(official_id(sample)) for sample in found.samples] == [42, 73, 99]
    assert found.samples[2].facts["objects"] == ["person"]
    assert found.samples[2].answers == ("A person waits.",)


def test_without_chair_neither_instances_nor_synonyms_are_read(folder: Path) -> None:
    (folder / INSTANCES).unlink()
    (folder / "synonyms.txt").unlink()
    found, faults = built(folder, chair=False)
    assert faults == []
    assert {sample.scorers for sample in found.samples} == {("coco_captions",)}
    assert found.samples[0].facts == {}
    needs = coco_captions.needs(coco_captions.Options(chair=False))
    assert [need.path for need in needs] == [KARPATHY, "val2014"]


def test_a_fixed_idf_counts_the_whole_split(folder: Path) -> None:
    found, _ = built(folder, images=1, idf="split", chair=False)
    assert len(found.samples) == 1
    assert found.shared == {"tokens": "plain", "java": [], "collection": [WRITTEN[42], WRITTEN[73]]}


def test_what_it_reads() -> None:
    needs = coco_captions.needs(coco_captions.Options(split="val2014"))
    assert [need.path for need in needs] == [CAPTIONS, INSTANCES, "synonyms.txt", "val2014"]


def test_the_file_that_pycocoevalcap_reads(folder: Path) -> None:
    found, _ = built(folder)
    name, rows = coco_captions.results([(found.samples[1], "A bike.")], coco_captions.Options(), "blip2")
    assert name == "captions_val2014_blip2_results.json"
    assert rows == [{"image_id": 73, "caption": "A bike."}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"filename": ""}, "filename is ''"),
        ({"cocoid": "42"}, "cocoid is '42'"),
        ({"split": "dev"}, "split is 'dev'; allowed: 'train'"),
        ({"sentences": []}, "sentences is []"),
        ({"sentences": [{"raw": " "}]}, "sentences[0].raw is ' ': must not be empty"),
        ({"sentences": [{"tokens": []}]}, "sentences[0].raw is missing"),
        ({"filename": file_name(42)}, f"filename '{file_name(42)}' is that of images entry 1"),
        ({"cocoid": 42}, "cocoid 42 is that of images entry 1"),
        ({"cocoid": 7}, "picture 7 is not among the images of "),
    ],
)
def test_what_cannot_be_used_of_karpathys_file(folder: Path, change: dict[str, Any], message: str) -> None:
    content = karpathy()
    content["images"][1] |= change
    put(folder, KARPATHY, content)
    found, faults = built(folder)
    assert len(faults) == 1
    assert faults[0].startswith(f"{folder}/{KARPATHY}: images entry 2: {message}")
    assert [int(official_id(sample)) for sample in found.samples] == [42]
    assert len(found.images) == 1


def test_what_cannot_be_used_of_the_official_file(folder: Path) -> None:
    content = official()
    content["annotations"][0]["image_id"] = 1
    content["annotations"][1]["caption"] = "\n"
    del content["annotations"][2]["caption"]
    put(folder, CAPTIONS, content)
    found, faults = built(folder, split="val2014")
    place = f"{folder}/{CAPTIONS}"
    assert sorted(faults) == [
        f"{place}: annotations entry 1: image_id 1 is not among the file's images",
        f"{place}: annotations entry 2: caption is '\\n': must not be empty",
        f"{place}: annotations entry 3: caption is missing",
        f"{place}: images entry 1: no caption of the picture 42 can be used",
    ]
    assert [int(official_id(sample)) for sample in found.samples] == [73, 99]


def test_a_missing_picture_is_named(folder: Path) -> None:
    gone = folder / "val2014" / file_name(73)
    gone.unlink()
    found, faults = built(folder)
    assert faults == [f"{folder}/{KARPATHY}: images entry 2: picture {gone} is missing: add it"]
    assert len(found.samples) == 1


def test_a_split_that_the_file_lacks(folder: Path) -> None:
    _, faults = built(folder, split="val")
    assert faults == [f"{folder}/{KARPATHY}: has no picture of the split 'val': is it the right file?"]


def test_synonyms_that_lack_a_category(folder: Path) -> None:
    (folder / "synonyms.txt").write_text("dog\n")
    with pytest.raises(PruneProofError, match="category 'motorcycle' is not in the file"):
        built(folder)


@pytest.mark.parametrize(("text", "message"), [("{'a'", "line 1: is not JSON"), ("{}", "has no 'images'")])
def test_another_file(folder: Path, text: str, message: str) -> None:
    (folder / KARPATHY).write_text(text)
    with pytest.raises(PruneProofError, match=message):
        built(folder)


def test_which_programs_its_scores_need() -> None:
    assert coco_captions.programs(coco_captions.Options()) == ("ptb",)
    assert coco_captions.programs(coco_captions.Options(tokens="plain")) == ()
    assert coco_captions.programs(coco_captions.Options(tokens="plain", java=("spice",))) == ("spice",)
