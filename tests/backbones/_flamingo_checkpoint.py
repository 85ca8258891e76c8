"""An Idefics of the published architecture, in small and with random weights, on disk with its matching CLIP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pruneproof.settings import BackboneSettings

PIXELS, PATCH, WIDTH, LAYERS, HEADS = 56, 14, 48, 3, 3
"""4 x 4 = 16 visual tokens and CLS."""
PAD, BOS, EOS = range(3)
FAKE, IMAGE, END = "<fake_token_around_image>", "<image>", "<end_of_utterance>"
CHAT_TEMPLATE = (
    "{% for message in messages %}User:{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
    "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
TEXTS = (
    "user: is there a car in the image?\nassistant: yes",
    "user: what colour is the dog?\nassistant: no",
    "question: how many boats are there? answer: yes",
    "question: is the car left of the dog? answer: no",
)
KINDS: dict[str, dict[str, Any]] = {
    "instructed": {"seed": 10},
    "base": {"instruct": False, "seed": 2},
    "templated": {"chat_template": True, "seed": 10},
    "no_resampler": {"resampler": False, "seed": 7},
}
"""Options of `save_flamingo`."""


def tokenizer(added: tuple[str, ...], ending: str = "") -> Any:
    """Lower case pieces and bytes; `added` tokens have ids after the vocabulary, as Idefics' image tokens have."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<unk>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(TEXTS * 5, trainer)
    inner.post_processor = processors.TemplateProcessing(
        single=f"<s> $A{ending}", special_tokens=[("<s>", BOS), ("</s>", EOS)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<unk>"
    )
    fast.add_special_tokens({"extra_special_tokens": list(added)})
    fast.padding_side = "left"
    return fast


def _save_clip(folder: Path) -> dict[str, Any]:
    """An open_clip pair in the `local-dir:` layout; returns its state."""
    import open_clip
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    words = tokenizer((), " </s>")
    words.save_pretrained(folder)
    vision = {
        "image_size": PIXELS,
        "patch_size": PATCH,
        "layers": LAYERS,
        "width": WIDTH,
        "head_width": WIDTH // HEADS,
    }
    text = {
        "context_length": 40,
        "vocab_size": len(words),
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


def save_flamingo(
    folder: Path, *, resampler: bool = True, instruct: bool = True, chat_template: bool = False, seed: int = 5
) -> None:
    """Save model, processor and matching CLIP as `save_pretrained` and open_clip lay them out.

    Args:
        folder: is made.
        resampler: whether a perceiver resampler comes before the cross-attention, as in the published ones.
        instruct: whether the tokenizer knows `<end_of_utterance>`, as idefics-9b-instruct's does and idefics-9b's not.
        chat_template: whether the processor has its own template.
        seed: of the random weights; a good one gives answers of different lengths.
    """
    import torch
    from transformers import (
        IdeficsConfig,
        IdeficsForVisionText2Text,
        IdeficsImageProcessorPil,
        IdeficsProcessor,
    )

    from pruneproof.backbones.clip.layout import vision_tower_state

    torch.manual_seed(seed)
    added = (FAKE, IMAGE, END) if instruct else (FAKE, IMAGE)
    words = tokenizer(added)
    state = _save_clip(folder / "clip")
    config = IdeficsConfig(
        vocab_size=len(words) - len(added),
        additional_vocab_size=len(added),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=4,
        num_attention_heads=4,
        cross_layer_interval=2,
        qk_layer_norms=True,
        alpha_initializer="ones",
        alpha_type="vector",
        initializer_range=0.3,
        max_position_embeddings=256,
        use_resampler=resampler,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
        vision_config={
            "embed_dim": WIDTH,
            "image_size": PIXELS,
            "patch_size": PATCH,
            "intermediate_size": 4 * WIDTH,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
        },
        perceiver_config={
            "use_resampler": resampler,
            "resampler_n_latents": 6,
            "resampler_depth": 2,
            "resampler_n_heads": 2,
            "resampler_head_dim": 16,
            "qk_layer_norms_perceiver": True,
        },
    )
    model = IdeficsForVisionText2Text(config)
    model.model.vision_model.load_state_dict(vision_tower_state(state))
    # Ending must be likely enough that answers differ in length.
    model.lm_head.weight.data[EOS] *= 2.5
    if instruct:
        model.lm_head.additional_fc.weight.data[added.index(END)] *= 1.5
    for name, token in (("eos", EOS), ("pad", PAD), ("bos", BOS)):
        setattr(model.generation_config, f"{name}_token_id", token)
    model.save_pretrained(folder)
    processor: Any = IdeficsProcessor
    processor = processor(IdeficsImageProcessorPil(image_size=PIXELS), words)
    if chat_template:
        processor.chat_template = CHAT_TEMPLATE
    processor.save_pretrained(folder)


def settings_of(kind: str) -> BackboneSettings:
    return BackboneSettings(
        family="flamingo", checkpoint=f"data/backbones/{kind}", text_tower=f"data/backbones/{kind}/clip"
    )
