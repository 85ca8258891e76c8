"""The files that POPE's authors publish, where a copy of them lies in `../shared/data/pope` beside this project."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from pruneproof.benchmarks import Request, pope
from pruneproof.files import sha256

COPY = Path(__file__).parents[3] / "shared" / "data" / "pope"
pytestmark = pytest.mark.skipif(not COPY.is_dir(), reason="needs POPE's files in ../shared/data/pope")


def questions(folder: Path, options: pope.Options, names: dict[str, str]) -> Counter[tuple[str, str]]:
    """Number of yes and no in each split, of the files in `names` and pictures of no content."""
    (folder / "coco").mkdir()
    (folder / "val2014").mkdir()
    for split, name in names.items():
        file = folder / "coco" / f"coco_pope_{split}.json"
        shutil.copyfile(COPY / name, file)
        for line in file.read_text().splitlines():
            (folder / "val2014" / json.loads(line)["image"]).touch()
    for need in pope.needs(options):
        if need.sha256:
            assert (sha256(folder / need.path), (folder / need.path).stat().st_size) == (need.sha256, need.bytes)
    request = Request("all", 0, folder)
    benchmark = pope.build(request, options)
    assert request.faults.lines == []
    assert len(benchmark.images) == 500
    assert all(sample.target for sample in benchmark.samples)
    counted = Counter((sample.split, sample.answer) for sample in benchmark.samples)
    counted["different", ""] = len({(sample.image_id, sample.question) for sample in benchmark.samples})
    return counted


def test_nine_thousand_rows_ask_5127_questions(tmp_path: Path) -> None:
    names = {split: f"coco_pope_{split}.json" for split in ("random", "popular", "adversarial")}
    counted = questions(tmp_path, pope.Options(), names)
    assert counted == Counter(
        {(split, answer): 1500 for split in names for answer in ("yes", "no")} | {("different", ""): 5127}
    )


def test_the_version_of_llava_lacks_90_absent_objects_at_random(tmp_path: Path) -> None:
    options = pope.Options(version="e3e3926", splits=("random",))
    counted = questions(tmp_path, options, {"random": "coco_pope_random_e3e3926.json"})
    assert counted == {("random", "yes"): 1500, ("random", "no"): 1410, ("different", ""): 2910}
