"""A Llama in which some tokens are hidden from all others, in a way that gradients can pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb, repeat_kv


def masked_layer(layer: Any, rotary: Callable[..., tuple[Tensor, Tensor]], state: Tensor, visible: Tensor) -> Tensor:
    """[B, T, D] what a layer makes of a state if other tokens see only those that are visible.

    With 0 and 1 a visible token's output is what it is if the hidden ones are not there at all, positions being kept.

    Source: raoyongming/DynamicViT `softmax_with_policy`, without its epsilon.

    Args:
        layer: transformers' `LlamaDecoderLayer`.
        rotary: its model's rotary embedding.
        state: [B, T, D] what the layer reads.
        visible: [B, T] from 0 to 1; a token always sees itself.
    """
    attention = layer.self_attn
    normed = layer.input_layernorm(state)
    query, key, value = (
        project(normed).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
        for project in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    total = state.shape[1]
    cos, sin = rotary(state, position_ids=torch.arange(total, device=state.device)[None])
    query, key = apply_rotary_pos_emb(query, key, cos, sin)
    groups = query.shape[1] // key.shape[1]
    scores = query @ repeat_kv(key, groups).transpose(-1, -2) * attention.scaling
    own = torch.eye(total, device=state.device)
    sees = (own + (1 - own) * visible[:, None, :]).tril()[:, None]
    exponents = (scores - scores.masked_fill(sees == 0, float("-inf")).amax(dim=-1, keepdim=True).detach()).exp()
    shares = exponents.clamp(max=1e4) * sees
    heard = shares / shares.sum(dim=-1, keepdim=True) @ repeat_kv(value, groups)
    state = state + attention.o_proj(heard.transpose(1, 2).flatten(-2))
    told: Tensor = state + layer.mlp(layer.post_attention_layernorm(state))
    return told
