from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pruneproof.errors import PruneProofError
from pruneproof.reporting import pictures


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_what_kept_patches_show_stays_and_the_rest_fades() -> None:
    pixels = np.full((120, 224, 3), (200, 30, 30), dtype=np.uint8)
    # The second reaches from 13.6 to 28.4, and the third lies in the first.
    boxes = np.array([[0, 0, 14, 14], [13.6, 14, 28.4, 28], [0, 0, 7, 7], [210, 106, 224, 120]])
    shown = pictures.fade_dropped(pixels, boxes)
    assert (shown[:14, :14] == pixels[:14, :14]).all()
    assert (shown[14:28, 14:28] == pixels[14:28, 14:28]).all()
    assert (shown[106:, 210:] == pixels[106:, 210:]).all()
    assert (shown == pixels).all(axis=2).sum() == 3 * 14 * 14
    assert shown[0, 14].min() > 200
    assert not (pictures.fade_dropped(pixels, np.zeros((0, 4))) == pixels).all(axis=2).any()


def test_a_picture_is_shown_whole() -> None:
    image = Image.new("RGB", (400, 200))
    image.paste((255, 0, 0), (160, 40, 240, 120))
    pixels, size = pictures.whole(png(image), side=100)
    assert pixels.shape == (50, 100, 3)
    assert size == (400, 200)
    assert (pixels[11:29, 41:59, 0] > 250).all()
    assert pixels[:9, :, 0].max() < 5


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "images.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(PruneProofError, match=r"images\.parquet cannot be read"):
        pictures.read_where(path, "image_id", ["a"])
