"""A checkpoint at the shape of LLaVA-1.5-7B with random weights, its CLIP and a tokenizer, as both sides load it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import open_clip
import torch
from performance._random_weights import random_model
from performance._true_models import Shape, llava_shape
from safetensors.torch import save_file
from transformers import AutoTokenizer, CLIPImageProcessor, LlavaProcessor

from pruneproof.backbones.clip.layout import vision_tower_state
from pruneproof.files import write_text

SUFFIX = "Answer the question using a single word or phrase."
"""LLaVA's own; with the template below a prompt has about as many tokens as there."""
TEMPLATE = (
    "{% for message in messages %}{{ message['role'] | upper }}: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %} {% endfor %}"
    "ASSISTANT:"
)


def save_shape(folder: Path, tokenizer: Path, tiny: bool, layers: int | None, dtype: str, device: str) -> None:
    """Write a checkpoint whose answers mean nothing and cost what those of LLaVA-1.5-7B cost.

    Args:
        folder: new; the CLIP pair goes to `clip` in it. 14 GB in float16, and 1.7 GB for CLIP.
        tokenizer: a checkpoint whose tokenizer is taken; ids beyond it are never the answer.
        tiny: a few small layers, for a smoke run.
        layers: of the language model; None for all.
        dtype: of the weights on disk.
        device: where they are drawn.
    """
    torch.manual_seed(0)
    shape, words = llava_shape(tiny), AutoTokenizer.from_pretrained(tokenizer)
    config = shape.config if layers is None else shape.with_layers(layers)
    side, image = config.vision_config.image_size, words.convert_tokens_to_ids("<image>")
    config.image_token_id = config.image_token_index = image
    config.text_config.vocab_size = max(config.text_config.vocab_size, len(words))
    config.text_config.max_position_embeddings = 4096
    model = random_model(shape.stock, config, getattr(torch, dtype), device)
    model.lm_head.weight[len(words) :] = 0
    model.model.vision_tower.load_state_dict(vision_tower_state(_save_clip(folder / "clip", shape)))
    for name in ("bos", "eos", "pad"):
        setattr(model.generation_config, f"{name}_token_id", getattr(words, f"{name}_token_id"))
    model.save_pretrained(folder)
    square = {"height": side, "width": side}
    processor: Any = LlavaProcessor
    processor(
        image_processor=CLIPImageProcessor(size={"shortest_edge": side}, crop_size=square),
        tokenizer=words,
        patch_size=config.vision_config.patch_size,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token="<image>",
        chat_template=TEMPLATE,
    ).save_pretrained(folder)


def _save_clip(folder: Path, shape: Shape) -> dict[str, Any]:
    """An open_clip pair in the `local-dir:` layout; returns its state."""
    folder.mkdir(parents=True)
    vision = shape.config.vision_config
    text = {**shape.clip["text_cfg"], "vocab_size": 49408, "context_length": 77}
    config = {
        "embed_dim": shape.clip["embed_dim"],
        "quick_gelu": True,
        "vision_cfg": {
            "image_size": vision.image_size,
            "patch_size": vision.patch_size,
            "layers": vision.num_hidden_layers,
            "width": vision.hidden_size,
            "head_width": vision.hidden_size // vision.num_attention_heads,
            "mlp_ratio": vision.intermediate_size / vision.hidden_size,
        },
        "text_cfg": text,
    }
    write_text(folder / "open_clip_config.json", json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    state: dict[str, Any] = {k: v.contiguous() for k, v in open_clip.CLIP(**config).state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors")
    return state
