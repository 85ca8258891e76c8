"""A Qwen2.5-VL or Qwen3-VL of the published architecture, in small and with random weights, on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

PATCH, MERGE, WIDTH = 14, 2, 64
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>")
PAD, _, EOS, START, END, IMAGE, VIDEO = range(7)
TEMPLATE = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n"
    "{% for content in message['content'] %}{% if content['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% elif 'text' in content %}{{ content['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""As the published checkpoints have it, without videos and numbered pictures."""


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=[*SPECIAL, "<|video_pad|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = ["user", "assistant", "yes", "no", "Yes", "No", "is there a car in the image?", "what colour is the dog?"]
    tokenizer.train_from_iterator(texts * 5, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")


def save_qwen_vl(
    folder: Path, kind: str = "qwen2_5_vl", *, least: int = 20, most: int = 64, seed: int = 1, **changed: Any
) -> None:
    """Save model and processor as `save_pretrained` lays them out.

    Args:
        folder: is made.
        kind: `qwen2_5_vl` or `qwen3_vl`.
        least: groups of 2 x 2 patches that a picture has at least.
        most: and at most.
        seed: of the random weights; a good one gives answers of different lengths.
        changed: values of the vision config, or with `text_` before its name, of the text config.
    """
    import torch
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    torch.manual_seed(seed)
    tokenizer = _tokenizer()
    vision: dict[str, Any] = {
        "depth": 4, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": PATCH,
        "spatial_merge_size": MERGE, "temporal_patch_size": 2, "out_hidden_size": WIDTH, "initializer_range": 0.2,
    }  # fmt: skip
    text: dict[str, Any] = {
        "vocab_size": len(tokenizer), "hidden_size": WIDTH, "intermediate_size": 96, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512,
        "pad_token_id": PAD, "bos_token_id": None, "eos_token_id": EOS, "initializer_range": 0.2,
    }  # fmt: skip
    classes: tuple[Any, ...]
    if kind == "qwen2_5_vl":
        # Windows of 2 x 2 groups in the first and the third layer.
        vision |= {"window_size": 2 * MERGE * PATCH, "fullatt_block_indexes": [1, 3]}
        text["rope_parameters"] = {"rope_type": "default", "rope_theta": 1000.0, "mrope_section": [2, 3, 3]}
        classes = (
            Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor, Qwen2VLVideoProcessor,
        )  # fmt: skip
    else:
        vision |= {"num_position_embeddings": 36, "deepstack_visual_indexes": [0, 2]}
        text |= {"head_dim": 16}
        text["rope_parameters"] = {
            "rope_type": "default", "rope_theta": 1000.0, "mrope_section": [4, 2, 2], "mrope_interleaved": True,
        }  # fmt: skip
        classes = Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLProcessor, Qwen3VLVideoProcessor
    text |= {name.removeprefix("text_"): value for name, value in changed.items() if name.startswith("text_")}
    vision |= {name: value for name, value in changed.items() if not name.startswith("text_")}
    config_class, model_class, processor_class, video_class = classes
    config = config_class(
        text_config=text, vision_config=vision, image_token_id=IMAGE, video_token_id=VIDEO,
        vision_start_token_id=START, vision_end_token_id=END,
    )  # fmt: skip
    model = model_class(config)
    for name, parameter in model.named_parameters():
        if "bias" in name:
            # As trained ones are; stock initialisation leaves zeros, which hide a bias that was left out.
            parameter.data.normal_(std=0.2)
    # Ending must be likely enough that answers differ in length.
    model.lm_head.weight.data[EOS] *= 1.7
    for token, number in (("eos", EOS), ("pad", PAD)):
        setattr(model.generation_config, f"{token}_token_id", number)
    model.save_pretrained(folder)
    side = (PATCH * MERGE) ** 2
    processor_class(
        image_processor=Qwen2VLImageProcessor(
            size={"shortest_edge": least * side, "longest_edge": most * side}, patch_size=PATCH, merge_size=MERGE
        ),
        tokenizer=tokenizer,
        video_processor=video_class(),
        chat_template=TEMPLATE,
    ).save_pretrained(folder)
