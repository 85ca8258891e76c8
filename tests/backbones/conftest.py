from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pruneproof import backbones
from pruneproof.backbones.families.llava import Llava
from pruneproof.settings import BackboneSettings

pytest.register_assert_rewrite("tests.backbones.families._alike")


@pytest.fixture(scope="session")
def llava(llava_root: Path, llava_settings: BackboneSettings) -> Llava:
    loaded = backbones.load(llava_settings, llava_root, "cpu")
    assert isinstance(loaded, Llava)
    return loaded


@pytest.fixture(scope="session")
def pictures() -> list[Image.Image]:
    """Not square, so that resizing and cropping take part."""
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (70, 90, 3), dtype=np.uint8)) for _ in range(2)]
