"""Pictures that are made when they are asked about get the answers of those that are stored, byte for byte."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pruneproof.answering import engines, stage, worker
from pruneproof.answering.grid import IMAGES_PER_BATCH, sheets
from pruneproof.files import read_rows, write_rows
from pruneproof.folders import Folders
from pruneproof.perturbations.images import stage as corrupting
from pruneproof.records import IMAGES, OBJECTS, REWORDED, SAMPLES, Sample, sample_to_row
from pruneproof.settings import Study
from pruneproof.stored import columns

COUNT = IMAGES_PER_BATCH + 3
TINY = (1, 4, IMAGES_PER_BATCH + 1)
"""Numbers of pictures that cannot be corrupted; batches are made up as if they could."""
METHODS = {
    "full": {"method": "full"},
    "tome_50": {"method": "tome", "keep": 0.5},
    "atp_clean": {"method": "atp", "keep": 0.25, "rank_from": "clean"},
}


def picture(number: int) -> bytes:
    side = 20 if number in TINY else 56
    pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "jpeg" if number % 2 else "png")
    return stream.getvalue()


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """A study whose pictures lie in files and in the table by turns."""
    folders = Folders(tmp_path)
    rows = []
    for number in range(COUNT):
        row = {"image_id": f"i{number}", "group": "", "width": 56, "height": 56, **columns(picture(number))}
        if number % 2:
            row |= {"file": f"photos/{number}.jpg", "png": b""}
            (tmp_path / "photos").mkdir(exist_ok=True)
            (tmp_path / row["file"]).write_bytes(picture(number))
        rows.append(row)
    write_rows(folders.benchmark / "images.parquet", rows, IMAGES)
    write_rows(folders.benchmark / "objects.parquet", [], OBJECTS)
    samples = [
        Sample(f"i{number}/{noun}", f"i{number}", "existence", f"is there a {noun} here?", "no")
        for number in range(COUNT)
        for noun in ("dog", "car")
    ]
    write_rows(folders.benchmark / "samples.parquet", [sample_to_row(s) for s in samples], SAMPLES)
    write_rows(folders.reworded / "questions.parquet", [], REWORDED)
    return folders


def asked(study: Study, stored: bool) -> Study:
    values = study.model_dump() | {"methods": METHODS}
    values["perturbations"] = {"image": {"names": ["contrast", "pixel_shift"], "severities": [2], "stored": stored}}
    return Study.model_validate(values)


def answers(study: Study, folders: Folders) -> dict[str, bytes]:
    worker._LOADED.clear()
    corrupting.run(study, folders)
    stage.run(study, folders, backbone="tiny")
    paths = [path("tiny", name) for name in METHODS for path in (folders.answers_of, folders.logits_of)]
    return {str(path.relative_to(folders.study)): path.read_bytes() for path in paths}


def test_the_same_answers_logits_and_warnings_either_way(
    study: Study, folders: Folders, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = answers(asked(study, True), folders)
    said = sorted(record.message for record in caplog.records)
    assert {line.partition(":")[0] for line in said} == {f"image i{number}" for number in TINY}
    assert all(line.endswith("pixels per side, got 20 x 20 (conditions: 1)") for line in said)
    found = {
        row["sample_id"] for row in read_rows(folders.answers_of("tiny", "full")) if row["perturbation"] == "contrast"
    }
    assert found == {f"i{n}/{noun}" for n in range(COUNT) if n not in TINY for noun in ("dog", "car")}
    for workers in ("1", "2"):
        caplog.clear()
        folders.cells.rename(folders.study / f"aside {workers}")
        monkeypatch.setenv("PRUNEPROOF_WORKERS", workers)
        assert answers(asked(study, False), folders) == stored
        assert sorted(record.message for record in caplog.records) == said
    caplog.clear()
    monkeypatch.setattr(engines, "load", lambda _: pytest.fail("everything is answered"))
    assert answers(asked(study, False), folders) == stored
    assert sorted(record.message for record in caplog.records) == said, "a second run says it again"


def test_batches_are_made_up_alike(study: Study, folders: Folders) -> None:
    corrupting.run(asked(study, True), folders)
    lacking = {"contrast_2": {f"i{number}" for number in TINY}}
    found = []
    for stored in (True, False):
        own = [batch for sheet in sheets(asked(study, stored), folders, True) for batch in sheet.batches]
        found.append([{image.image_id for image in b.images} - lacking.get(b.shown, set()) for b in own])
    assert found[0] == found[1]
    assert [len(batch) for batch in found[0]] == [10, 3, 8, 2, 10, 3]
