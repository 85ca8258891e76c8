"""A LLaVA-OneVision of the published architecture, in small and with random weights, on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.backbones._llava_next_checkpoint import GRIDS, SIDE
from tests.conftest import BOS, EOS, IMAGE, PAD, PATCH, PIXELS, TEMPLATE, _tokenizer

MOST = 2
"""Tiles' worth of tokens that a larger grid is made smaller to; the published models have 9 and grids of up to 36."""


def save_llava_onevision(folder: Path, *, grids: list[list[int]] = GRIDS, most: int = MOST, seed: int = 3) -> None:
    """Save model and processor as `save_pretrained` lays them out.

    Args:
        folder: is made.
        grids: heights and widths in pixels.
        most: as of `MOST`.
        seed: of the random weights; a good one gives answers of different lengths.
    """
    import torch
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionForConditionalGeneration,
        LlavaOnevisionImageProcessor,
        LlavaOnevisionProcessor,
        LlavaOnevisionVideoProcessor,
        Qwen2Config,
        SiglipVisionConfig,
    )

    torch.manual_seed(seed)
    tokenizer = _tokenizer("")
    vision = SiglipVisionConfig(
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=3,
        image_size=PIXELS,
        patch_size=PATCH,
        vision_use_head=False,
    )
    text = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
        initializer_range=0.3,
    )
    config = LlavaOnevisionConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=IMAGE,
        video_token_index=len(tokenizer) - 1,
        image_grid_pinpoints=grids,
        vision_aspect_ratio=f"anyres_max_{most}",
        initializer_range=0.3,
    )
    model = LlavaOnevisionForConditionalGeneration(config)
    for layer in model.model.vision_tower.encoder.layers:
        layer.self_attn.q_proj.weight.data.mul_(3.0)
    # As loud as a token, so that a newline too many or too few is heard.
    model.model.image_newline.data.normal_(std=0.3)
    # Ending must be likely enough that answers differ in length.
    model.lm_head.weight.data[EOS] *= 1.7
    for name, token in (("eos", EOS), ("pad", PAD), ("bos", BOS)):
        setattr(model.generation_config, f"{name}_token_id", token)
    model.save_pretrained(folder)
    processor: Any = LlavaOnevisionProcessor
    processor(
        image_processor=LlavaOnevisionImageProcessor(
            size={"height": PIXELS, "width": PIXELS}, image_grid_pinpoints=grids
        ),
        tokenizer=tokenizer,
        video_processor=LlavaOnevisionVideoProcessor(size={"height": PIXELS, "width": PIXELS}),
        num_image_tokens=SIDE**2,
        vision_feature_select_strategy="full",
        vision_aspect_ratio=f"anyres_max_{most}",
        chat_template=TEMPLATE,
    ).save_pretrained(folder)
