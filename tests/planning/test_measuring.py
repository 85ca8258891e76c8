from __future__ import annotations

from types import SimpleNamespace

import pytest
from torch import nn

from pruneproof.backbones import packing
from pruneproof.planning import measuring
from pruneproof.planning.measuring import Lengths, measured
from pruneproof.planning.shapes import Shape

LAYER = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 2}
CONFIG = SimpleNamespace(
    vision_config=SimpleNamespace(**LAYER, image_size=28, patch_size=14),
    text_config=SimpleNamespace(**LAYER, vocab_size=100),
)


@pytest.mark.parametrize(("parameters", "packed"), [(1000, [12, 14]), (2**29 + 1, [])])
def test_weights_are_packed_where_those_of_the_whole_model_are(
    parameters: int, packed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two layers are measured of each half: of 6 products in the tower, and of 7 in the decoder."""
    found: list[int] = []
    pack = packing.pack

    def counting(model: nn.Module) -> int:
        found.append(pack(model))
        return found[-1]

    monkeypatch.setattr(packing, "pack", counting)
    monkeypatch.setattr(measuring, "SECONDS", 0.0)
    speeds = measured(Shape("llava", CONFIG, {}, parameters, "float32"), Lengths(2, 9), 1, "cpu")
    assert speeds.language > 0
    assert found == packed
