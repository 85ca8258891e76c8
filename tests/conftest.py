"""What several rooms' tests share: a LLaVA of the published architecture, in small and with random weights, on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from pruneproof.settings import BackboneSettings

# How long an example takes says nothing about the code on a busy machine.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

PIXELS, PATCH = 56, 14
"""4 x 4 = 16 visual tokens."""
TEMPLATE = (
    "{% for message in messages %}{{ message['role'] | upper }}: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %} {% endfor %}"
    "ASSISTANT:"
)
"""As LLaVA-1.5 has it."""
PAD, BOS, EOS, IMAGE = range(4)


def _tokenizer(ending: str) -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<pad>", "<s>", "</s>", "<image>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = ["user:", " assistant: yes", " assistant: no", "is there a car in the image?", "what colour is the dog?"]
    tokenizer.train_from_iterator(texts * 5, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"<s> $A{ending}", special_tokens=[("<s>", BOS), ("</s>", EOS)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>")


def _save_clip(folder: Path, width: int, layers: int, vocabulary: int) -> dict[str, Any]:
    """An open_clip pair in the `local-dir:` layout; returns its state."""
    import open_clip
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    _tokenizer(" </s>").save_pretrained(folder)
    vision = {"image_size": PIXELS, "patch_size": PATCH, "layers": layers, "width": width, "head_width": 16}
    text = {
        "context_length": 40,
        "vocab_size": vocabulary,
        "hf_tokenizer_name": "local",
        "width": 32,
        "heads": 2,
        "layers": 2,
        "pool_type": "eos",
        "pad_id": PAD,
        "eos_id": EOS,
    }
    config = {"model_cfg": {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}, "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    model = open_clip.CLIP(24, vision, {k: v for k, v in text.items() if k != "hf_tokenizer_name"})
    for block in model.visual.transformer.resblocks:
        block.attn.in_proj_weight.data.mul_(3.0)
    state: dict[str, Any] = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors")
    return state


def save_llava(folder: Path) -> None:
    """Save model, processor and matching CLIP as `save_pretrained` and open_clip lay them out."""
    import torch
    from transformers import (
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    from pruneproof.backbones.clip.layout import vision_tower_state

    torch.manual_seed(3)
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
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
        initializer_range=0.3,
    )
    config = LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=IMAGE, vision_feature_layer=-2, initializer_range=0.3
    )
    model = LlavaForConditionalGeneration(config)
    model.model.vision_tower.load_state_dict(vision_tower_state(state))
    # Ending must be likely enough that answers differ in length.
    model.lm_head.weight.data[EOS] *= 1.7
    for name, token in (("eos", EOS), ("pad", PAD), ("bos", BOS)):
        setattr(model.generation_config, f"{name}_token_id", token)
    model.save_pretrained(folder)
    processor: Any = LlavaProcessor
    processor(
        image_processor=CLIPImageProcessorPil(
            size={"shortest_edge": PIXELS}, crop_size={"height": PIXELS, "width": PIXELS}
        ),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token="<image>",
        chat_template=TEMPLATE,
    ).save_pretrained(folder)


@pytest.fixture(scope="session")
def llava_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's root with the small LLaVA in `data/backbones/tiny_llava`."""
    root = tmp_path_factory.mktemp("project")
    save_llava(root / "data/backbones/tiny_llava")
    return root


@pytest.fixture(scope="session")
def llava_settings() -> BackboneSettings:
    """How a study names it."""
    return BackboneSettings(
        family="llava",
        checkpoint="data/backbones/tiny_llava",
        text_tower="data/backbones/tiny_llava/clip",
        max_new_tokens=6,
        max_caption_tokens=12,
    )
