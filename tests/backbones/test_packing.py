"""Packed layers against `torch.nn.Linear`, and whole models of every family against themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.backbones._asking import ask
from tests.backbones.language.test_histories import CASES, settings_of
from tests.conftest import save_llava
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pruneproof import backbones
from pruneproof.backbones import Backbone, packing
from pruneproof.backbones.packing import FEWEST, PackedLinear, pack
from pruneproof.settings import BackboneSettings

QUESTIONS = ("is there a dog?", "what is it that you can see there?")


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.lists(st.integers(1, 12), min_size=1, max_size=3),
    st.booleans(),
    st.booleans(),
)
def test_a_packed_layer_is_the_layer(inputs: int, outputs: int, shape: list[int], bias: bool, turned: bool) -> None:
    """Any number of rows, few or many, and a state that does not lie in order."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    state = torch.randn(*shape, inputs)
    if turned:
        state = state.transpose(0, -2)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        expected = layer(state)
    with torch.inference_mode(), FlopCounterMode(display=False) as packed_counter:
        found = PackedLinear(layer)(state)
    assert packed_counter.get_total_flops() == counter.get_total_flops() == 2 * state.numel() * outputs
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("rows", "packed"), [(FEWEST - 1, False), (FEWEST, True)])
def test_few_rows_keep_the_plain_weight(rows: int, packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    product = packing.product

    def watched(state: Tensor, *rest: Tensor) -> Tensor:
        seen.append(len(state))
        return product(state, *rest)

    monkeypatch.setattr(packing, "product", watched)
    PackedLinear(nn.Linear(3, 2))(torch.ones(rows, 3))
    assert seen == [rows] * packed


def test_every_plain_layer_is_packed_once_and_keeps_its_weights() -> None:
    class Own(nn.Linear):
        """Computes something of its own."""

    shared = nn.Linear(3, 3)
    model = nn.ModuleDict({"a": nn.Sequential(shared, nn.ReLU(), shared), "b": Own(3, 3), "c": nn.Linear(3, 2)})
    before = dict(model.state_dict())
    assert pack(model) == 2
    packed = {name for name, module in model.named_modules(remove_duplicate=False) if type(module) is PackedLinear}
    assert packed == {"a.0", "a.2", "c"}
    assert model["a"][0] is model["a"][2]
    assert model.state_dict().keys() == before.keys()
    assert all(model.state_dict()[name].data_ptr() == tensor.data_ptr() for name, tensor in before.items())
    assert pack(model) == 0


def test_other_types_and_large_models_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pack(nn.Sequential(nn.Linear(3, 2, dtype=torch.bfloat16))) == 0
    assert pack(nn.Sequential(nn.Linear(3, 2, device="meta"))) == 0
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    monkeypatch.setattr(packing, "LARGEST", 4 * (6 + 4) - 1)
    assert pack(model) == 0
    monkeypatch.setattr(packing, "LARGEST", 4 * (6 + 4))
    monkeypatch.setattr(packing, "_BUILT_IN", False)
    assert pack(model) == 0
    monkeypatch.setattr(packing, "_BUILT_IN", True)
    assert pack(model) == 2


@pytest.mark.parametrize("case", ["llava", *CASES])
def test_a_model_answers_as_before(
    case: str, tmp_path: Path, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All its products with packed weights, those of a single row, too."""
    monkeypatch.setattr(packing, "FEWEST", 0)
    if case == "llava":
        save_llava(tmp_path / case)
        chosen = BackboneSettings(family=case, checkpoint=case, text_tower=f"{case}/clip")
    else:
        CASES[case][1](tmp_path / case)
        chosen = settings_of(case)

    def answers(backbone: Backbone) -> tuple[list[str], Tensor]:
        images = backbone.encode(pictures[:1])
        found = ask(backbone, images, QUESTIONS, torch.arange(images[0].count)[None], 4)
        return [reply.text for reply in found], torch.tensor([[r.yes_logit, r.no_logit] for r in found])

    backbone = backbones.load(chosen, tmp_path, "cpu")
    held = backbone.weight_bytes
    texts, logits = answers(backbone)
    assert pack(backbone.model) > 10
    packed_texts, packed_logits = answers(backbone)
    assert packed_texts == texts
    assert torch.allclose(packed_logits, logits, atol=1e-4)
    assert backbone.weight_bytes == held
