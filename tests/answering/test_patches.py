"""The stage that asks each backbone's image processor where visual tokens lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np

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


def test_squares_at_the_models_size_have_theirs_too(study: Study, tmp_path: Path) -> None:
    image = study.perturbations.image.model_copy(update={"resolution": "model", "model_pixels": 84})
    changed = study.model_copy(update={"perturbations": study.perturbations.model_copy(update={"image": image})})
    assert list(written(changed, tmp_path)) == [(56, 56), (84, 84), (112, 56)]
