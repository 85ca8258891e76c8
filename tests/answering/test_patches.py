"""The stage that asks each backbone's image processor where visual tokens lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pruneproof.answering import patches
from pruneproof.files import read_rows, write_rows
from pruneproof.folders import Folders
from pruneproof.records import IMAGES
from pruneproof.settings import Study
from pruneproof.stored import columns


def written(study: Study, folder: Path) -> dict[tuple[int, int], np.ndarray]:
    folders = Folders(folder)
    images = [
        {"image_id": f"{i}", "group": "", "width": width, "height": height, **columns(b"")}
        for i, (width, height) in enumerate([(56, 56), (112, 56), (56, 56)])
    ]
    write_rows(folders.benchmark / "images.parquet", images, IMAGES)
    patches.run(study, folders)
    rows = read_rows(folders.patches / "tiny.parquet")
    return {(row["width"], row["height"]): np.reshape(row["boxes"], (-1, 4)) for row in rows}


def test_every_size_of_picture_has_its_boxes(study: Study, tmp_path: Path) -> None:
    found = written(study, tmp_path)
    assert list(found) == [(56, 56), (112, 56)]
    # The small LLaVA cuts out the centre and reads it in 4 x 4 patches of 14 pixels.
    by_hand = [[x, y, x + 14, y + 14] for y in range(0, 56, 14) for x in range(0, 56, 14)]
    np.testing.assert_allclose(found[56, 56], by_hand)
    np.testing.assert_allclose(found[112, 56], np.add(by_hand, [28, 0, 28, 0]))


def test_pictures_at_the_models_size_have_theirs_too(study: Study, tmp_path: Path) -> None:
    image = study.perturbations.image.model_copy(update={"resolution": "model", "model_pixels": 84})
    changed = study.model_copy(update={"perturbations": study.perturbations.model_copy(update={"image": image})})
    assert list(written(changed, tmp_path)) == [(56, 56), (84, 84), (112, 56), (168, 84)]


def test_a_model_that_reads_smaller_pictures_in_fewer_tokens_is_told(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One token for 28 x 28 pixels, as Qwen has it; the small LLaVA has 16 for each."""

    def each_28(settings: object, root: object) -> Callable[[tuple[int, int]], np.ndarray]:
        return lambda size: np.zeros(((size[0] // 28) * (size[1] // 28), 4))

    image = study.perturbations.image.model_copy(update={"resolution": "model", "model_pixels": 28})
    changed = study.model_copy(update={"perturbations": study.perturbations.model_copy(update={"image": image})})
    written(changed, tmp_path)
    assert not caplog.messages
    monkeypatch.setattr(patches.backbones, "patch_boxes", each_28)
    written(changed, tmp_path)
    (said,) = caplog.messages
    assert "backbone tiny reads a picture of 56 x 56 pixels in 4 visual tokens, and in 1 once it is corrupted" in said
    assert "makes it 28 x 28" in said
