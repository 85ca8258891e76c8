"""A byte-level BPE tokenizer of about a thousand tokens, shared by the language model and the CLIP text tower."""

from __future__ import annotations

from typing import Any

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from pruneproof.benchmarks.scenes.composition import compose
from pruneproof.seeds import generator
from pruneproof.training.corpus import contrastive_caption, lessons

PAD, BOS, EOS, IMAGE, ANSWER = "<pad>", "<s>", "</s>", "<image>", "<answer>"
_SPECIAL = (PAD, BOS, EOS, IMAGE, ANSWER)
_PLAN = {
    "existence": 6,
    "colour": 3,
    "count": 3,
    "relation": 4,
    "side": 2,
    "compositional": 2,
    "caption": 1,
    "short": 2,
}


def train_tokenizer(seed: int, vocabulary: int, scenes: int = 1500) -> Tokenizer:
    """Learn the merges from training questions, half of them noisy, so that a misspelt word falls into known pieces.

    Lower-casing is part of the tokenizer, and every byte is a token, so no input is unknown.
    """
    texts: list[str] = []
    for index in range(scenes):
        scene = compose(seed, f"train/{index:06d}")
        rng = np.random.default_rng([seed, index])
        texts += [text for lesson in lessons(scene, _PLAN, 0.5, rng) for text in (lesson.question, lesson.answer)]
        texts.append(contrastive_caption(scene, list(range(len(scene.objects))), generator(seed, "tokenizer", index)))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _wrap(tokenizer: Tokenizer, ending: str) -> PreTrainedTokenizerFast:
    own = Tokenizer.from_str(tokenizer.to_str())
    ids = [(token, own.token_to_id(token)) for token in (BOS, EOS)]
    own.post_processor = processors.TemplateProcessing(single=f"{BOS} $A{ending}", special_tokens=ids)
    wrap: Any = PreTrainedTokenizerFast
    wrapped: PreTrainedTokenizerFast = wrap(
        tokenizer_object=own,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        extra_special_tokens={"image_token": IMAGE, "answer_token": ANSWER},
        clean_up_tokenization_spaces=False,
    )
    return wrapped


def language_tokenizer(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """For the language model: begins with `<s>`, ends open."""
    return _wrap(tokenizer, "")


def clip_tokenizer(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """For the CLIP text tower, which pools at the first `</s>`."""
    return _wrap(tokenizer, f" {EOS}")


def chat_template(image: str) -> str:
    """Turns as in training: question, `<answer>` (one token, where LLaVA writes ` ASSISTANT:`), answer.

    Args:
        image: what stands for the image; empty where a processor puts it before the text itself.
    """
    return (
        "{% for message in messages %}{% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}" + image + "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
        "{% endfor %}{% if message['role'] == 'user' %}" + ANSWER + "{% else %} {% endif %}{% endfor %}"
    )


def token_ids(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    """Ids of the special tokens under the keys `pad`, `bos`, `eos`, `image`."""
    ids: dict[str, Any] = {
        "pad": tokenizer.pad_token_id,
        "bos": tokenizer.bos_token_id,
        "eos": tokenizer.eos_token_id,
        "image": tokenizer.convert_tokens_to_ids(IMAGE),
    }
    return ids
