from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pruneproof.errors import PruneProofError
from pruneproof.reporting import pictures


def test_kept_patches_stay_and_others_fade() -> None:
    pixels = np.full((224, 224, 3), (200, 30, 30), dtype=np.uint8)
    shown = pictures.fade_dropped(pixels, [0, 17, 255], grid=16)
    assert (shown[:14, :14] == pixels[:14, :14]).all()
    assert (shown[14:28, 14:28] == pixels[14:28, 14:28]).all()
    assert (shown[210:, 210:] == pixels[210:, 210:]).all()
    assert (shown == pixels).all(axis=2).sum() == 3 * 14 * 14
    assert shown[0, 14].min() > 200


def test_a_wide_picture_is_cut_to_its_centre_like_its_boxes() -> None:
    image = Image.new("RGB", (400, 200))
    image.paste((255, 0, 0), (150, 50, 250, 150))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    pixels = pictures.square(buffer.getvalue(), side=200)
    x0, y0, x1, y1 = (round(v) for v in pictures.square_box((150, 50, 250, 150), 400, 200, side=200))
    assert (x0, y0, x1, y1) == (50, 50, 150, 150)
    assert (pixels[y0:y1, x0:x1, 0] == 255).all()
    assert pixels[..., 0].sum() == 255 * 100 * 100


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "images.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(PruneProofError, match=r"images\.parquet cannot be read"):
        pictures.read_where(path, "image_id", ["a"])
