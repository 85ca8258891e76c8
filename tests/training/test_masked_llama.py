"""Hidden tokens are as good as not there; with all tokens visible a layer is transformers' own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaModel

from pruneproof.training.masked_llama import masked_layer


@pytest.fixture(params=[4, 2], ids=["heads", "grouped heads"])
def language(request: pytest.FixtureRequest) -> LlamaModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=9,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=request.param,
    )
    model = LlamaModel(config).eval()
    for parameter in model.parameters():
        parameter.data.normal_(0.0, 0.3) if parameter.ndim > 1 else parameter.data.uniform_(0.5, 1.5)
    return model


def through(language: LlamaModel, state: Tensor, visible: Tensor) -> Tensor:
    for layer in language.layers:
        state = masked_layer(layer, language.rotary_emb, state, visible)
    found: Tensor = language.norm(state)
    return found


@torch.inference_mode()
def test_all_visible_is_the_model_itself(language: LlamaModel) -> None:
    state = torch.randn(2, 9, 32)
    expected = language(inputs_embeds=state).last_hidden_state
    torch.testing.assert_close(through(language, state, torch.ones(2, 9)), expected, atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_hidden_tokens_are_as_good_as_not_there(language: LlamaModel) -> None:
    state, kept = torch.randn(1, 9, 32), torch.tensor([0, 1, 3, 6, 8])
    visible = torch.zeros(1, 9).index_fill(1, kept, 1.0)
    without = language(inputs_embeds=state[:, kept], position_ids=kept[None]).last_hidden_state
    torch.testing.assert_close(through(language, state, visible)[:, kept], without, atol=1e-5, rtol=1e-4)


def test_a_hidden_token_can_be_called_back(language: LlamaModel) -> None:
    visible = torch.zeros(1, 9, requires_grad=True)
    torch.autograd.backward(through(language, torch.randn(1, 9, 32), visible)[:, -1].sum())
    assert visible.grad is not None
    assert bool(visible.grad.isfinite().all())
    assert bool((visible.grad[0, :-1] != 0).all())
