"""How one CLIP vision tower is laid out in open_clip and in transformers."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

_BLOCK = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_OUTER = {
    "class_embedding": "embeddings.class_embedding",
    "conv1.weight": "embeddings.patch_embedding.weight",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_pre.weight": "pre_layrnorm.weight",
    "ln_pre.bias": "pre_layrnorm.bias",
    "ln_post.weight": "post_layernorm.weight",
    "ln_post.bias": "post_layernorm.bias",
}


def vision_tower_state(open_clip_state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The image half of an open_clip state under the names of transformers' `CLIPVisionModel`.

    open_clip stacks query, key and value in one matrix, in this order; the projection into CLIP space (`visual.proj`)
    has no place in a vision tower and is left out.

    Source: transformers `models/clip/convert_clip_original_pytorch_to_hf.py::copy_vison_model_and_projection`.
    """
    state: dict[str, Tensor] = {}
    for name, tensor in open_clip_state.items():
        if not name.startswith("visual."):
            continue
        inner = name.removeprefix("visual.")
        if inner in _OUTER:
            state[_OUTER[inner]] = tensor
        elif inner.startswith("transformer.resblocks."):
            number, _, rest = inner.removeprefix("transformer.resblocks.").partition(".")
            base = f"encoder.layers.{number}."
            if rest.startswith("attn.in_proj_"):
                kind = rest.removeprefix("attn.in_proj_")
                for part, third in zip("qkv", tensor.chunk(3), strict=True):
                    state[f"{base}self_attn.{part}_proj.{kind}"] = third
            else:
                owner, _, leaf = rest.rpartition(".")
                state[f"{base}{_BLOCK[owner]}.{leaf}"] = tensor
    return state
