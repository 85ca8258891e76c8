"""A SmolVLM of the published architecture, in small and with random weights, on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.conftest import BOS, EOS, PAD, _tokenizer

CROP, PATCH, SCALE = 32, 4, 2
"""8 x 8 patches of a crop are 4 x 4 = 16 visual tokens of 2 x 2 patches."""
LONGEST = 3 * CROP
"""Pixels that the longer side of a picture is brought to: three sub-images."""
MARKERS = ["<fake_token_around_image>", "<global-img>", "<end_of_utterance>"] + [
    f"<row_{row}_col_{column}>" for row in (1, 2, 3) for column in (1, 2, 3)
]
TEMPLATE = (
    "<s>{% for message in messages %}{{ message['role'] | capitalize }}"
    "{% if message['content'][0]['type'] == 'image' %}:{% else %}: {% endif %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
"""As SmolVLM2 has it."""


def save_smolvlm(folder: Path, *, splitting: bool = True, ancestor: bool = False, seed: int = 6) -> None:
    """Save model, tokenizer and image processor as `save_pretrained` lays them out.

    Args:
        folder: is made.
        splitting: whether pictures are cut into sub-images.
        ancestor: whether the classes are those of Idefics3, as in the first SmolVLM.
        seed: of the random weights; a good one gives answers of different lengths.
    """
    import torch
    import transformers
    from transformers import LlamaConfig

    stock: Any = transformers
    kind = "Idefics3" if ancestor else "SmolVLM"
    torch.manual_seed(seed)
    tokenizer = _tokenizer("")
    tokenizer.add_special_tokens({"additional_special_tokens": MARKERS})
    text = LlamaConfig(
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
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "image_size": CROP,
        "patch_size": PATCH,
        "initializer_range": 0.3,
    }
    config = getattr(stock, f"{kind}Config")(
        vision_config=vision,
        text_config=text,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=SCALE,
        tie_word_embeddings=False,
    )
    model: Any = getattr(stock, f"{kind}ForConditionalGeneration")(config)
    # As loud as the words, and ending likely enough that answers differ in length.
    model.model.connector.modality_projection.proj.weight.data.normal_(std=0.3)
    model.lm_head.weight.data.normal_(std=0.3)
    model.lm_head.weight.data[EOS] *= 1.7
    for name, token in (("eos", EOS), ("pad", PAD), ("bos", BOS)):
        setattr(model.generation_config, f"{name}_token_id", token)
    model.save_pretrained(folder)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    getattr(stock, f"{kind}ImageProcessor")(
        size={"longest_edge": LONGEST}, max_image_size={"longest_edge": CROP}, do_image_splitting=splitting
    ).save_pretrained(folder)


def stock_processor(backbone: Any) -> Any:
    """transformers' own processor; the package that it asks for names numbers in videos and is not installed."""
    from transformers import Idefics3Processor, SmolVLMVideoProcessor
    from transformers.models.smolvlm import processing_smolvlm

    pair: Any = backbone.processor
    side = pair.image_processor.max_image_size["longest_edge"] // PATCH // SCALE
    given = {"image_seq_len": side**2, "chat_template": TEMPLATE}
    if backbone.model.config.model_type == "idefics3":
        older: Any = Idefics3Processor
        return older(pair.image_processor, pair.tokenizer, **given)
    stock: Any = processing_smolvlm
    before, stock.num2words = stock.num2words, str
    try:
        return stock.SmolVLMProcessor(pair.image_processor, pair.tokenizer, SmolVLMVideoProcessor(), **given)
    finally:
        stock.num2words = before
