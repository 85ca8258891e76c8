"""BLIP-2s of the published architecture, in small and with random weights, on disk with the EVA CLIP they come from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import save_file
from tests.conftest import BOS, EOS, IMAGE, PAD, PATCH, PIXELS, _tokenizer
from timm.models import register_model
from timm.models.eva import Eva
from torch import Tensor
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    Blip2QFormerConfig,
    Blip2VisionConfig,
    BlipImageProcessorPil,
    OPTConfig,
    T5Config,
)

from pruneproof.settings import BackboneSettings

WIDTH, HEADS, LAYERS, QUERIES, SPACE = 48, 3, 4, 5, 24
"""CLIP has 4 layers; a published BLIP-2 lacks the last of its CLIP's."""


@register_model
def eva_tiny_patch14_56(num_classes: int = 0, global_pool: str = "token", **others: Any) -> Eva:
    """`eva_giant_patch14_224` in small: timm models are built by name only."""
    del others
    return Eva(
        img_size=PIXELS,
        patch_size=PATCH,
        embed_dim=WIDTH,
        depth=LAYERS,
        num_heads=HEADS,
        mlp_ratio=2.5,
        num_classes=num_classes,
        global_pool=global_pool,
        head_init_scale=0.0,
    )


def save_eva_clip(folder: Path, seed: int = 5, space: int = SPACE, trunk: str = "eva_tiny_patch14_56") -> None:
    """An open_clip pair as `EVA01-g-14` is configured, in the `local-dir:` layout."""
    torch.manual_seed(seed)
    folder.mkdir(parents=True)
    words = _tokenizer(" </s>")
    words.save_pretrained(folder)
    vision = {"image_size": PIXELS, "timm_model_name": trunk, "timm_pool": "token", "timm_proj": None}
    text = {"context_length": 40, "vocab_size": len(words), "hf_tokenizer_name": "local", "width": 32, "heads": 2}
    text |= {"layers": 2, "pool_type": "eos", "pad_id": PAD, "eos_id": EOS}
    config = {"embed_dim": space, "vision_cfg": vision, "text_cfg": text, "custom_text": True}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    model = open_clip.CustomTextCLIP(space, vision, {k: v for k, v in text.items() if k != "hf_tokenizer_name"})
    loud = torch.Generator().manual_seed(seed)
    state = model.state_dict()
    for name, tensor in state.items():
        if name.startswith("visual.trunk.") and "norm" not in name:
            tensor.copy_(torch.randn(tensor.shape, generator=loud) * (0.15 if tensor.ndim > 1 else 0.05))
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "open_clip_model.safetensors")


def vision_tower_state(trunk: Mapping[str, Tensor], layers: int) -> dict[str, Tensor]:
    """The first layers of a timm EVA trunk under the names of `Blip2VisionModel`, without its final norm.

    Source: transformers `models/blip_2/convert_blip_2_original_to_pytorch.py`.
    """
    parts = {"norm1": "layer_norm1", "norm2": "layer_norm2", "attn.proj": "self_attn.projection"}
    parts |= {"mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}
    state = {
        "embeddings.class_embedding": trunk["cls_token"],
        "embeddings.position_embedding": trunk["pos_embed"],
        "embeddings.patch_embedding.weight": trunk["patch_embed.proj.weight"],
        "embeddings.patch_embedding.bias": trunk["patch_embed.proj.bias"],
    }
    for layer in range(layers):
        old, new = f"blocks.{layer}.", f"encoder.layers.{layer}."
        query, value = trunk[f"{old}attn.q_bias"], trunk[f"{old}attn.v_bias"]
        state[f"{new}self_attn.qkv.weight"] = trunk[f"{old}attn.qkv.weight"]
        state[f"{new}self_attn.qkv.bias"] = torch.cat([query, torch.zeros_like(query), value])
        for theirs, ours in parts.items():
            for kind in ("weight", "bias"):
                state[f"{new}{ours}.{kind}"] = trunk[f"{old}{theirs}.{kind}"]
    return state


def _language(kind: str, vocabulary: int) -> OPTConfig | T5Config:
    tokens = {"vocab_size": vocabulary, "pad_token_id": PAD, "eos_token_id": EOS}
    if kind == "opt":
        config: Any = OPTConfig
        return config(
            **tokens,
            bos_token_id=BOS,
            hidden_size=64,
            word_embed_proj_dim=64,
            ffn_dim=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=128,
            init_std=0.3,
        )
    config = T5Config
    return config(
        **tokens,
        decoder_start_token_id=PAD,
        d_model=64,
        d_kv=16,
        d_ff=96,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        initializer_factor=2.0,
    )


def save_blip2(folder: Path, kind: str, layers: int = LAYERS - 1) -> None:
    """Save model, processor and CLIP; `kind` is `opt` or `t5`, `layers` those of CLIP's that the tower has."""
    save_eva_clip(folder / "clip")
    clip = open_clip.create_model(f"local-dir:{folder / 'clip'}")
    torch.manual_seed(8)
    tokenizer = _tokenizer("" if kind == "opt" else " </s>")
    vision: Any = Blip2VisionConfig
    former: Any = Blip2QFormerConfig
    config: Any = Blip2Config
    model = Blip2ForConditionalGeneration(
        config(
            vision_config=vision(
                hidden_size=WIDTH,
                intermediate_size=120,
                num_hidden_layers=layers,
                num_attention_heads=HEADS,
                image_size=PIXELS,
                patch_size=PATCH,
            ),
            qformer_config=former(
                vocab_size=50,
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=64,
                max_position_embeddings=40,
                initializer_range=0.3,
            ),
            text_config=_language(kind, len(tokenizer)),
            num_query_tokens=QUERIES,
            image_token_index=IMAGE,
            initializer_range=0.3,
        )
    )
    missing, unexpected = model.vision_model.load_state_dict(
        vision_tower_state(clip.visual.trunk.state_dict(), layers), strict=False
    )
    assert (sorted(missing), unexpected) == (["post_layernorm.bias", "post_layernorm.weight"], [])
    with torch.no_grad():
        # BLIP-2's own norm after the tower is not CLIP's.
        model.vision_model.post_layernorm.weight.uniform_(0.5, 1.5)
        model.query_tokens.normal_()
        # Ending must be likely enough that answers differ in length.
        model.language_model.get_output_embeddings().weight[EOS] *= {"opt": 2.0, "t5": 1.5}[kind]
    model.save_pretrained(folder)
    processor: Any = Blip2Processor
    size = {"height": PIXELS, "width": PIXELS}
    processor(BlipImageProcessorPil(size=size), tokenizer, num_query_tokens=QUERIES).save_pretrained(folder)


def blip2_settings(name: str, **others: Any) -> BackboneSettings:
    """How a study names the checkpoint in folder `name` of its root."""
    return BackboneSettings.model_validate(
        {"family": "blip2", "checkpoint": name, "text_tower": f"{name}/clip", "max_new_tokens": 6} | others
    )
