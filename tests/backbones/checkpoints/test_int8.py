"""int8 weights against a case worked by hand, their bound, and what they do to whole models of every family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from tests.backbones._asking import ask
from tests.backbones.language.test_histories import CASES, settings_of
from tests.conftest import save_llava
from torch import Tensor, nn

from pruneproof import backbones
from pruneproof.backbones import Backbone
from pruneproof.backbones.checkpoints.int8 import Int8Linear, compress, quantised
from pruneproof.errors import PruneProofError
from pruneproof.settings import BackboneSettings

QUESTIONS = ("is there a dog?", "what is it that you can see there?")


def test_a_case_worked_by_hand() -> None:
    """The scales are 254 / 127 = 2, 127 / 127 = 1, and anything for zeros; halves go to the even number."""
    weight = torch.tensor([[254.0, -3.0, 5.0, 1.1], [-127.0, 0.4, 2.5, 3.5], [0.0, 0.0, 0.0, 0.0]])
    whole, scale = quantised(weight)
    assert whole.dtype == torch.int8
    assert whole.tolist() == [[127, -2, 2, 1], [-127, 0, 2, 4], [0, 0, 0, 0]]
    assert scale[:2].tolist() == [[2.0], [1.0]]
    assert (whole * scale).tolist() == [[254.0, -4.0, 4.0, 2.0], [-127.0, 0.0, 2.0, 4.0], [0.0, 0.0, 0.0, 0.0]]


@settings(deadline=None)
@given(
    arrays(
        np.float32,
        array_shapes(min_dims=2, max_dims=2),
        elements=st.floats(-(2.0**99), 2.0**99, width=32, allow_subnormal=False),
    ),
    st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_no_weight_moves_by_more_than_half_a_step(weight: np.ndarray[Any, Any], dtype: torch.dtype) -> None:
    given = torch.from_numpy(weight).to(dtype)
    whole, scale = quantised(given)
    assert torch.isfinite(scale).all()
    moved = (given.double() - whole.double() * scale.double()).abs()
    assert (moved <= scale.double() * (0.5 + 1e-4)).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_computes_in_its_input_s_type_with_the_weights_multiplied_out(dtype: torch.dtype, bias: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(8, 5, bias=bias, dtype=dtype)
    state = torch.randn(3, 8, dtype=dtype)
    whole, scale = quantised(layer.weight.detach())
    expected = nn.functional.linear(state, (whole.float() * scale).to(dtype), layer.bias)
    found = Int8Linear(layer)(state)
    assert found.dtype == dtype
    assert torch.equal(found, expected)


@pytest.fixture(scope="module", params=["llava", *CASES])
def checkpoint(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[BackboneSettings, Path]:
    case, folder = request.param, tmp_path_factory.mktemp("int8")
    if case == "llava":
        save_llava(folder / case)
        return BackboneSettings(family=case, checkpoint=case, text_tower=f"{case}/clip"), folder
    CASES[case][1](folder / case)
    return settings_of(case), folder


def weights(backbone: Any) -> dict[str, Tensor]:
    return dict(backbone.model.state_dict())


def test_only_the_language_model_s_layers_are_compressed(checkpoint: tuple[BackboneSettings, Path]) -> None:
    """Memory is smaller by three of the four bytes of each weight, less four bytes for each scale."""
    chosen, folder = checkpoint
    stored = backbones.load(chosen, folder, "cpu")
    int8 = backbones.load(chosen.model_copy(update={"language_weights": "int8"}), folder, "cpu")
    before, after = weights(stored), weights(int8)
    changed = {name for name in before if after[name].dtype == torch.int8}
    assert set(after) - set(before) == {f"{name.removesuffix('weight')}scale" for name in changed}
    assert all(torch.equal(before[name], after[name]) for name in set(before) - changed)
    language = [name for name in before if any(part in name for part in (".layers.", "attn_layers.", ".block."))]
    inside = {name for name in language if not any(part in name for part in ("vision", "qformer", "perceiver"))}
    assert changed == {name for name in inside if before[name].ndim == 2 and "relative_attention_bias" not in name}
    assert changed
    saved = sum(3 * before[name].numel() - 4 * len(before[name]) for name in changed)
    assert stored.weight_bytes - int8.weight_bytes == saved > 0


def test_a_model_computes_with_its_weights_multiplied_out(checkpoint: tuple[BackboneSettings, Path]) -> None:
    """As if they had been stored so, to the last digits."""
    chosen, folder = checkpoint
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8))

    def logits(backbone: Backbone) -> Tensor:
        images = backbone.encode([picture])
        kept = torch.arange(images[0].count)[None]
        return torch.tensor([[r.yes_logit, r.no_logit] for r in ask(backbone, images, QUESTIONS, kept, 4)])

    stored = backbones.load(chosen, folder, "cpu")
    int8 = backbones.load(chosen.model_copy(update={"language_weights": "int8"}), folder, "cpu")
    exact, found = logits(stored), logits(int8)
    for name, weight in weights(int8).items():
        if weight.dtype == torch.int8:
            multiplied = weight * weights(int8)[f"{name.removesuffix('weight')}scale"]
            weights(stored)[name].copy_(multiplied)
    assert torch.allclose(found, logits(stored), atol=1e-4)
    assert not torch.equal(found, exact)


def test_a_model_with_weights_that_are_no_numbers_is_still_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    save_llava(tmp_path / "mine")
    path = tmp_path / "mine/model.safetensors"
    state = load_file(path)
    name = next(name for name in state if "language_model" in name and name.endswith("down_proj.weight"))
    state[name][1, 2] = float("nan")
    save_file(state, path, metadata={"format": "pt"})
    chosen = BackboneSettings(family="llava", checkpoint="mine", text_tower="mine/clip", language_weights="int8")
    with pytest.raises(PruneProofError, match=r"NaN or infinite weights in .*down_proj\.scale"):
        backbones.load(chosen, tmp_path, "cpu")


def test_nothing_to_compress_is_refused() -> None:
    head = nn.Linear(2, 2)
    with pytest.raises(PruneProofError, match="'mine' has a language model without linear layers"):
        compress([nn.Sequential(nn.LayerNorm(2), head)], head, "checkpoint 'mine'")
