"""Pictures of extreme sizes, within those that a benchmark may have, reach every family's language model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.backbones.clip.test_patch_boxes import FAMILIES, settings_of

from pruneproof import backbones
from pruneproof.answering.doors import whole
from pruneproof.benchmarks._pictures import MOST_STRETCHED, SHORTEST

SIZES = {
    "tiny": (20, 20),
    "smallest": (SHORTEST, SHORTEST),
    "longest": (MOST_STRETCHED * SHORTEST, SHORTEST),
    "tallest": (SHORTEST, MOST_STRETCHED * SHORTEST),
    "strip": (12_000, 300),
    "column": (300, 12_000),
}
"""Width and height."""


@pytest.mark.parametrize("family", FAMILIES)
def test_every_size_is_encoded_located_and_answered(tmp_path: Path, family: str) -> None:
    FAMILIES[family](tmp_path / family)
    settings = settings_of(family)
    backbone, boxes = backbones.load(settings, tmp_path, "cpu"), backbones.patch_boxes(settings, tmp_path)
    rng = np.random.default_rng(0)
    for size in SIZES.values():
        picture = Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
        (encoded,) = backbone.encode([picture])
        assert encoded.features.isfinite().all()
        assert encoded.count == len(boxes(size)) > 0
        (reply,) = backbone.answer([whole(backbone, encoded)], ["is there a car?"], 2)
        assert np.isfinite(reply.yes_logit), size
