"""A LLaVA-NeXT of the published architecture, in small and with random weights, on disk with its matching CLIP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.conftest import BOS, EOS, IMAGE, PAD, PATCH, PIXELS, TEMPLATE, _save_clip, _tokenizer

SIDE = PIXELS // PATCH
"""4 x 4 = 16 patches a crop."""
GRIDS = [[PIXELS * down, PIXELS * across] for down, across in ((1, 2), (2, 1), (2, 2), (3, 1), (1, 3))]
"""Height and width in pixels, as in the published ones with their 336 pixels a crop."""
INSTRUCT = (
    "{% for message in messages %}{% if message['role'] == 'user' %}[INST] {% endif %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{% if message['role'] == 'user' %} [/INST]{% endif %}{% endfor %}"
)
"""As llava-v1.6-mistral-7b has it."""


def save_llava_next(folder: Path, *, mistral: bool = False, grids: list[list[int]] = GRIDS, seed: int = 1) -> None:
    """Save model, processor and matching CLIP as `save_pretrained` and open_clip lay them out.

    Args:
        folder: is made.
        mistral: whether Mistral and its template follow the projector, or Vicuna's.
        grids: heights and widths in pixels.
        seed: of the random weights; a good one gives answers of different lengths.
    """
    import torch
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaNextConfig,
        LlavaNextForConditionalGeneration,
        LlavaNextImageProcessor,
        LlavaNextProcessor,
        MistralConfig,
    )

    from pruneproof.backbones.clip.layout import vision_tower_state

    torch.manual_seed(seed)
    tokenizer = _tokenizer("")
    state = _save_clip(folder / "clip", 48, 3, len(tokenizer))
    vision = CLIPVisionConfig(
        hidden_size=48,
        intermediate_size=192,
        num_hidden_layers=3,
        num_attention_heads=3,
        image_size=PIXELS,
        patch_size=PATCH,
        hidden_act="gelu",
        projection_dim=24,
    )
    language: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "pad_token_id": PAD,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "initializer_range": 0.3,
    }
    text = MistralConfig(**language, sliding_window=None) if mistral else LlamaConfig(**language)
    config = LlavaNextConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=IMAGE,
        image_grid_pinpoints=grids,
        image_seq_length=SIDE**2,
        initializer_range=0.3,
    )
    model = LlavaNextForConditionalGeneration(config)
    model.model.vision_tower.load_state_dict(vision_tower_state(state))
    # As loud as a token, so that a newline too many or too few is heard.
    model.model.image_newline.data.normal_(std=0.3)
    # Ending must be likely enough that answers differ in length.
    model.lm_head.weight.data[EOS] *= 1.7
    for name, token in (("eos", EOS), ("pad", PAD), ("bos", BOS)):
        setattr(model.generation_config, f"{name}_token_id", token)
    model.save_pretrained(folder)
    processor: Any = LlavaNextProcessor
    processor(
        image_processor=LlavaNextImageProcessor(
            size={"shortest_edge": PIXELS},
            crop_size={"height": PIXELS, "width": PIXELS},
            image_grid_pinpoints=grids,
        ),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token="<image>",
        chat_template=INSTRUCT if mistral else TEMPLATE,
    ).save_pretrained(folder)
