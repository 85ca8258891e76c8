"""Writes the trained model in the layouts that published checkpoints have."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from open_clip import CLIP
from safetensors.torch import save_file
from transformers import CLIPImageProcessorPil, LlavaForConditionalGeneration, LlavaProcessor, PreTrainedTokenizerFast

from pruneproof.backbones.builtin.clip_model import IMAGE_MEAN, IMAGE_STD
from pruneproof.backbones.builtin.tokenizer import ANSWER, IMAGE

CHAT_TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}" + IMAGE + "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% if message['role'] == 'user' %}" + ANSWER + "{% endif %}{% endfor %}"
)
"""Image, question, `<answer>`: one token behind the question, where LLaVA writes ` ASSISTANT:`."""


def export(
    folder: Path,
    model: LlavaForConditionalGeneration,
    clip: CLIP,
    clip_config: dict[str, Any],
    language_tokenizer: PreTrainedTokenizerFast,
    clip_tokenizer: PreTrainedTokenizerFast,
) -> None:
    """Save the LLaVA with its processor, and the CLIP pair beside it in open_clip's local layout, both in float16.

    Everything is written to a new folder that then takes the place of `folder`.
    """
    new = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    pair = new / "clip"
    pair.mkdir(parents=True)
    half: Any = LlavaForConditionalGeneration(model.config)
    half.half()
    half.load_state_dict(model.state_dict())
    half.generation_config = model.generation_config
    half.save_pretrained(new)
    make_processor: Any = LlavaProcessor
    processor = make_processor(
        image_processor=CLIPImageProcessorPil(
            size={"shortest_edge": 224},
            crop_size={"height": 224, "width": 224},
            image_mean=list(IMAGE_MEAN),
            image_std=list(IMAGE_STD),
        ),
        tokenizer=language_tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token=IMAGE,
        chat_template=CHAT_TEMPLATE,
    )
    processor.save_pretrained(new)
    (pair / "open_clip_config.json").write_text(json.dumps(clip_config, indent=2) + "\n")
    tensors = {name: tensor.to(torch.float16).contiguous() for name, tensor in clip.state_dict().items()}
    save_file(tensors, pair / "open_clip_model.safetensors")
    clip_tokenizer.save_pretrained(pair)
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)
