"""What a method sees of a prompt through the norm after the last layer is what the model's head reads."""

from __future__ import annotations

import torch
from transformers import LlamaConfig, LlamaModel

from pruneproof.backbones.language.narrowing_view import Entering, PromptLayer


@torch.inference_mode()
def test_the_last_state_normed_is_what_the_head_reads() -> None:
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=9, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2)
    model = LlamaModel(config).eval()
    model.norm.weight.uniform_(0.2, 2.0)
    embedded = torch.randn(1, 7, 16)
    whole = model(inputs_embeds=embedded, output_hidden_states=True)
    last = embedded[0]
    places = torch.arange(7)
    for layer in model.layers:
        last = layer(
            last[None], position_ids=places[None], position_embeddings=model.rotary_emb(last[None], places[None])
        )[0]
    visual = torch.arange(1, 5)
    entering = Entering(model.layers[1], model.rotary_emb, last, places)
    view = PromptLayer(2, embedded[0], visual, 2, visual, entering, None, {}, model.norm)
    torch.testing.assert_close(view.normed, whole.last_hidden_state[0])
