"""The built-in CLIP tower in the shape of BLIP-2's vision model, which has no norm before its first layer."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

_FAINT = 1 / 64
"""Scale of the embeddings, so that what they add to the first layer's output is next to nothing."""


def blip2_tower_state(open_clip_state: Mapping[str, Tensor], patches: Tensor) -> dict[str, Tensor]:
    """The image half of an open_clip state under the names of transformers' `Blip2VisionModel`, with one more layer.

    CLIP normalises its embeddings before the first layer and EVA, BLIP-2's tower, does not. So a first layer is put
    before CLIP's own that does it: its attention adds nothing, and its feed-forward, whose input is already normalised,
    is a linear map, since gelu(a) - gelu(-a) = a. The embeddings themselves are scaled down and what they would still
    add on average is taken off.

    Args:
        open_clip_state: state of an open_clip model with a norm before the first layer and exact GELU.
        patches: [n, 588] normalised patches of some images, to know how large the embeddings are.
    """
    visual = {key.removeprefix("visual."): t for key, t in open_clip_state.items() if key.startswith("visual.")}
    kernel = visual["conv1.weight"].flatten(1)
    width = len(kernel)
    places = visual["positional_embedding"]
    typical = (patches @ kernel.T + places[1:].mean(0)).std(-1).mean()
    # A norm does not see the scale of its input, so CLS may be given the size that is taken off.
    scale = torch.full((len(places), 1), _FAINT)
    scale[0] *= typical / (visual["class_embedding"] + places[0]).std()
    eye, gain = torch.eye(width), visual["ln_pre.weight"] - _FAINT * typical
    rest = torch.zeros(2 * width, width)
    state: dict[str, Tensor] = {
        "embeddings.patch_embedding.weight": _FAINT * visual["conv1.weight"],
        "embeddings.patch_embedding.bias": torch.zeros(width),
        "embeddings.class_embedding": (scale[0] * visual["class_embedding"])[None, None],
        "embeddings.position_embedding": (scale * places)[None],
        "encoder.layers.0.layer_norm1.weight": torch.ones(width),
        "encoder.layers.0.layer_norm1.bias": torch.zeros(width),
        "encoder.layers.0.layer_norm2.weight": torch.ones(width),
        "encoder.layers.0.layer_norm2.bias": torch.zeros(width),
        "encoder.layers.0.self_attn.qkv.weight": torch.zeros(3 * width, width),
        "encoder.layers.0.self_attn.qkv.bias": torch.zeros(3 * width),
        "encoder.layers.0.self_attn.projection.weight": torch.zeros(width, width),
        "encoder.layers.0.self_attn.projection.bias": torch.zeros(width),
        "encoder.layers.0.mlp.fc1.weight": torch.cat([eye, -eye, rest]),
        "encoder.layers.0.mlp.fc1.bias": torch.zeros(4 * width),
        "encoder.layers.0.mlp.fc2.weight": torch.cat([torch.diag(gain), -torch.diag(gain), rest.T], dim=1),
        "encoder.layers.0.mlp.fc2.bias": visual["ln_pre.bias"],
        "post_layernorm.weight": visual["ln_post.weight"],
        "post_layernorm.bias": visual["ln_post.bias"],
    }
    names = {
        "ln_1": "layer_norm1",
        "ln_2": "layer_norm2",
        "attn.out_proj": "self_attn.projection",
        "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
    }
    for key, tensor in visual.items():
        if not key.startswith("transformer.resblocks."):
            continue
        number, _, rest_of_name = key.removeprefix("transformer.resblocks.").partition(".")
        base = f"encoder.layers.{int(number) + 1}."
        if rest_of_name.startswith("attn.in_proj_"):
            state[f"{base}self_attn.qkv.{rest_of_name.removeprefix('attn.in_proj_')}"] = tensor
        else:
            owner, _, leaf = rest_of_name.rpartition(".")
            state[f"{base}{names[owner]}.{leaf}"] = tensor
    return state
