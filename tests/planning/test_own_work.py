from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pruneproof import pruning
from pruneproof.backbones.flops.languages import attention_rows
from pruneproof.backbones.flops.parts import attention, linear
from pruneproof.planning.own_work import OwnWork, own_work
from pruneproof.planning.shapes import Shape
from pruneproof.settings import MethodSettings

VISION = SimpleNamespace(
    hidden_size=48, intermediate_size=192, num_hidden_layers=3, num_attention_heads=3, image_size=56, patch_size=14
)
TEXT = SimpleNamespace(
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=4,
    num_attention_heads=4,
    num_key_value_heads=2,
    vocab_size=99,
)
SHAPE = Shape(
    "llava",
    SimpleNamespace(vision_config=VISION, text_config=TEXT, vision_feature_layer=-2),
    {"embed_dim": 24, "text_cfg": {"width": 32, "layers": 2}},
    1000,
    "float32",
)
"""16 patches."""


def own(layers: int = 4, **options: Any) -> OwnWork:
    return own_work(pruning.load(MethodSettings.model_validate(options)), SHAPE, layers)


def test_a_method_that_looks_at_the_question_needs_its_embedding() -> None:
    assert own(method="atp", keep=0.5).texts
    assert not own(method="atp", keep=0.5, alpha=0.0).texts
    assert not own(method="fastervlm", keep=0.5).texts


def test_atp_compares_every_patch_with_every_question() -> None:
    found = own(method="atp", keep=0.5)
    assert found.picture.flops == 0
    assert found.question.flops == linear(1, 24, 16)


def test_divprune_compares_patches_with_each_other_once() -> None:
    found = own(method="divprune", keep=0.5)
    assert found.picture.flops == linear(16, 64, 16)
    assert found.question.operations == 0


def test_a_smaller_picture_is_a_cheaper_tower() -> None:
    """Half the patches' share leaves 3 x 3; LLaVA's projector reads the last layer but one, so two run."""
    method: Any = pruning.load(MethodSettings.model_validate({"method": "resize", "keep": 0.5}))
    count = method.side(4) ** 2
    tower = own(method="resize", keep=0.5).tower
    assert tower is not None
    tokens = count + 1
    layer = 4 * linear(tokens, 48, 48) + attention(tokens, tokens, 48) + 2 * linear(tokens, 48, 192)
    assert tower.flops == linear(count, 3 * 14**2, 48) + 2 * layer
    assert tower.layers == 2


def test_what_is_dropped_in_the_tower_spares_its_later_layers() -> None:
    tome, whole = own(method="tome", keep=0.25).tower, own(method="tome", keep=1.0).tower
    assert tome is not None
    assert whole is not None
    assert tome.flops < whole.flops


def test_fastv_works_out_the_attention_of_one_token() -> None:
    """To all 16 visual tokens, the one before them and the 12 after."""
    found = own(method="fastv", keep=0.5, layer=1, of=4)
    assert found.question.flops == attention_rows(TEXT, 1, 29)
    assert found.question.operations > own(method="random", keep=0.5, door="language", layer=1).question.operations


@pytest.mark.parametrize("keep", [0.25, 0.5])
def test_a_greedy_choice_takes_as_many_steps_as_it_keeps(keep: float) -> None:
    few, more = own(method="cdpruner", keep=keep), own(method="cdpruner", keep=2 * keep)
    assert more.question.operations > few.question.operations > 0
