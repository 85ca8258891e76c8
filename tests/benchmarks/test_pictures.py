"""Pictures are looked at once: what they are is noted, and those that no model could be shown are found."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from pruneproof.benchmarks import Benchmark, _pictures
from pruneproof.benchmarks._pictures import look, looked_at
from pruneproof.records import Sample


def saved(size: tuple[int, int] = (40, 30), kind: str = "JPEG", mode: str = "RGB", **options: Any) -> bytes:
    buffer = BytesIO()
    Image.new(mode, size).save(buffer, kind, **options)
    return buffer.getvalue()


def turned() -> bytes:
    """40 x 30 pixels that a viewer shows as 30 x 40."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(exif=exif)


def wide_colour() -> bytes:
    return bytes(cv2.imencode(".png", np.full((30, 40, 3), 40_000, np.uint16))[1].tobytes())


USABLE: Mapping[str, tuple[bytes, tuple[int, int]]] = {
    "photo": (saved(), (40, 30)),
    "grey of 16 bits": (saved(kind="PNG", mode="I;16"), (40, 30)),
    "colour of 16 bits": (wide_colour(), (40, 30)),
    "CMYK": (saved(mode="CMYK"), (40, 30)),
    "turned by EXIF": (turned(), (30, 40)),
    "tiny": (saved((20, 20)), (20, 20)),
    "strip": (saved((12_000, 300)), (12_000, 300)),
    "column": (saved((300, 12_000)), (300, 12_000)),
}
UNUSABLE: Mapping[str, tuple[bytes, str]] = {
    "empty": (b"", r"in no known format \(0 bytes\): restore the file or leave it out"),
    "text": (b"no such picture", "in no known format"),
    "cut": (saved((400, 400))[:-40], "cannot be decoded"),
    "two rows": (saved((40, 2)), r"40 x 2 pixels: the shorter side needs at least 8, .* crop it or leave it out"),
    "sliver": (saved((8, 801)), "8 x 801 pixels: .* at most 100 times as many"),
    "integers": (saved(kind="TIFF", mode="I"), "32-bit integers"),
}


@pytest.mark.parametrize("kind", USABLE)
def test_size_and_digest_are_those_of_the_picture_as_it_is_seen(tmp_path: Path, kind: str) -> None:
    content, size = USABLE[kind]
    (tmp_path / "a").write_bytes(content)
    for place in (content, tmp_path / "a"):
        (found,) = look([place])
        assert (found.width, found.height, found.fault) == (*size, "")
        assert found.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_picture_that_cannot_be_used_says_why(kind: str) -> None:
    content, said = UNUSABLE[kind]
    (found,) = look([content])
    assert (found.width, found.sha256) == (0, "")
    with pytest.raises(AssertionError, match=f"the picture .*{said}"):
        raise AssertionError(found.fault)


def benchmark(*rows: Mapping[str, Any]) -> Benchmark:
    asked = tuple(Sample(f"{row['image_id']}/1", row["image_id"], "existence", "is it?", "no") for row in rows)
    objects = tuple({"image_id": row["image_id"], "object_id": 0} for row in rows)
    return Benchmark(rows, objects, asked, {})


def test_files_are_named_from_the_studys_folder_and_faults_by_their_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, data = tmp_path / "study", tmp_path / "data"
    (data / "photos").mkdir(parents=True)
    study.mkdir()
    (data / "photos/a.jpg").write_bytes(saved())
    (data / "photos/b.jpg").write_bytes(b"hello")
    given = benchmark(
        {"image_id": "a", "group": "", "file": "photos/a.jpg"},
        {"image_id": "b", "group": "", "file": "photos/b.jpg"},
        {"image_id": "c", "group": "", "file": "photos/c.jpg"},
        {"image_id": "d", "group": "", "png": saved(kind="PNG"), "width": 40, "height": 30},
        {"image_id": "e", "group": "", "png": saved(kind="PNG"), "width": 30, "height": 40},
    )
    monkeypatch.setenv("PRUNEPROOF_WORKERS", "1")
    found, faults = looked_at(given, data, study)
    assert [(row["image_id"], row["file"], row["width"], row["height"]) for row in found.images] == [
        ("a", "../data/photos/a.jpg", 40, 30),
        ("d", "", 40, 30),
    ]
    assert [row["image_id"] for row in found.objects] == ["a", "d"]
    assert [sample.image_id for sample in found.samples] == ["a", "d"]
    assert faults == (
        f"{data}/photos/b.jpg: the picture is in no known format (5 bytes): restore the file or leave it out",
        f"{data}/photos/c.jpg: cannot be read (No such file or directory): restore the file",
        "image 'e': the picture has 40 x 30 pixels, not 30 x 40",
    )
    monkeypatch.setenv("PRUNEPROOF_WORKERS", "2")
    monkeypatch.setattr(_pictures, "PICTURES_PER_TASK", 2)
    assert looked_at(given, data, study) == (found, faults)
