"""The built-in Flamingo: the CLIP tower of another built-in model, a perceiver resampler, and a small gated decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    IdeficsConfig,
    IdeficsForVisionText2Text,
    IdeficsImageProcessor,
    IdeficsProcessor,
    PreTrainedTokenizerFast,
)

from pruneproof.backbones.clip.layout import vision_tower_state
from pruneproof.backbones.families._flamingo_prompts import FAKE
from pruneproof.training.clip_model import IMAGE_MEAN, IMAGE_STD
from pruneproof.training.dialogues import Dialogue
from pruneproof.training.packing import pack, packed_states
from pruneproof.training.scene_cache import SceneCache
from pruneproof.training.settings import TrainingSettings
from pruneproof.training.students import About, Glimpse, Predictions
from pruneproof.training.students._initial import match_heads, scale_linear_layers, set_generation
from pruneproof.training.students._slots import CONNECTOR_AIDS, SlotAid
from pruneproof.training.students._words import Words
from pruneproof.training.tokenizer import IMAGE, chat_template, token_ids

ABOUT = About(
    "A real, small `IdeficsForVisionText2Text`, the open Flamingo: the vision tower of `builtin_llava` (256 patches "
    "and CLS), a perceiver resampler with 32 latents, and a Llama with gated cross-attention.",
    feature_layer=-1,
    aids=(
        *CONNECTOR_AIDS,
        "The keys of {heads} heads of the first cross-attention start equal to their queries and large, so that a word "
        "attends to latents like it from the start; they are free afterwards.",
        "The gates of the cross-attention start open (published models start from a finished language model and closed "
        "gates).",
    ),
    demands={"existence/singular": 90.0, "existence/plural": 90.0},
)


class FlamingoStudent:
    """Resampler and gated decoder; implements `Student`."""

    def __init__(self, model: IdeficsForVisionText2Text, tokenizer: PreTrainedTokenizerFast) -> None:
        self.model: Any = model
        self.tokenizer, self.words = tokenizer, Words(tokenizer)
        inner = self.model.model
        self.slots = SlotAid(inner.perceiver_resampler.embed_dim)
        self.decoder = nn.ModuleDict(
            {
                "embed": inner.embed_tokens,
                "layers": inner.layers,
                "cross": inner.gated_cross_attn_layers,
                "norm": inner.norm,
            }
        )
        fake, image = (tokenizer.convert_tokens_to_ids(token) for token in (FAKE, IMAGE))
        self.start = [tokenizer.bos_token_id, fake, image, fake]

    def trained(self) -> dict[str, nn.Module]:
        """Resampler, decoder, its head, and the throw-away heads."""
        return {
            "connector": self.model.model.perceiver_resampler,
            "language": self.decoder,
            "head": self.model.lm_head,
            "aid": self.slots,
        }

    def read(self, features: Tensor) -> Tensor:
        """Latents [B, V, D]."""
        latents: Tensor = self.model.model.perceiver_resampler(features)
        return latents

    def predict(self, visual: Tensor, dialogues: Sequence[Sequence[Dialogue]]) -> Predictions:
        """Answers, an image's dialogues packed; from the placeholder on, every token looks at the image."""
        embed = self.model.model.embed_tokens
        packed = pack(self.tokenizer, dialogues, len(self.start)).to(str(visual.device))
        prefix = embed(torch.tensor(self.start, device=visual.device)).expand(len(visual), -1, -1)
        looks = torch.ones(len(visual), len(self.start) + packed.ids.shape[1], 1, device=visual.device)
        looks[:, : self.start.index(self.tokenizer.convert_tokens_to_ids(IMAGE))] = 0
        states = packed_states(
            self.model.model, prefix, embed, packed, perceiver_embeddings=visual[:, None], image_attention_mask=looks
        )
        return packed.predictions(self.model.lm_head, states)

    def aid(self, visual: Tensor, cache: SceneCache, chosen: Sequence[int], rng: np.random.Generator) -> Tensor:
        """One latent a class says whether it is there; see `SlotAid`."""
        scenes = [cache.scenes[i] for i in chosen]
        return self.slots.loss(visual, scenes, self.words, int(rng.integers(2)), self.model.model.embed_tokens)


def student(
    settings: TrainingSettings,
    clip_state: Mapping[str, Tensor],
    tokenizer: PreTrainedTokenizerFast,
    glimpse: Glimpse,
) -> FlamingoStudent:
    """An Idefics with a finished tower and a fresh resampler and language model.

    Args:
        settings: shapes; the language model is as wide as the tower.
        clip_state: state of the open_clip model whose image half becomes the tower.
        tokenizer: of the language model; it learns `<fake_token_around_image>` here.
        glimpse: not looked at.
    """
    del glimpse
    tokenizer.add_special_tokens({"additional_special_tokens": [FAKE]})
    model = _build(settings, len(tokenizer), token_ids(tokenizer))
    inner: Any = model.model
    inner.vision_model.load_state_dict(vision_tower_state(clip_state))
    depth = len(inner.layers) + len(inner.gated_cross_attn_layers)
    for root in (inner.layers, inner.gated_cross_attn_layers):
        scale_linear_layers(root, depth)
    scale_linear_layers(nn.ModuleDict({"head": model.lm_head}), 1)
    with torch.no_grad():
        inner.embed_tokens.weight.normal_(0.0, 0.3)
    match_heads(inner.gated_cross_attn_layers[0].cross_attn, settings.language.matched_heads)
    return FlamingoStudent(model, tokenizer)


def processor(settings: TrainingSettings, tokenizer: PreTrainedTokenizerFast) -> Any:
    """What turns pictures and conversations into the model's inputs."""
    del settings
    tokenizer.chat_template = chat_template(IMAGE)
    make_images: Any = IdeficsImageProcessor
    make: Any = IdeficsProcessor
    return make(make_images(image_size=224, image_mean=list(IMAGE_MEAN), image_std=list(IMAGE_STD)), tokenizer)


def _build(settings: TrainingSettings, vocabulary: int, ids: Mapping[str, int]) -> IdeficsForVisionText2Text:
    tower, language, connector = settings.tower, settings.language, settings.connector
    config = IdeficsConfig(
        vocab_size=vocabulary,
        hidden_size=language.width,
        intermediate_size=language.feed_forward,
        num_hidden_layers=language.layers,
        num_attention_heads=language.heads,
        max_position_embeddings=512,
        alpha_initializer="ones",
        alpha_type="float",
        cross_layer_interval=connector.every,
        freeze_text_layers=False,
        freeze_vision_layers=True,
        use_resampler=True,
        perceiver_config={
            "use_resampler": True,
            "resampler_n_latents": connector.outputs,
            "resampler_depth": connector.layers,
            "resampler_n_heads": connector.heads,
            "resampler_head_dim": tower.width // connector.heads,
        },
        vision_config={
            "embed_dim": tower.width,
            "intermediate_size": 4 * tower.width,
            "num_hidden_layers": tower.layers,
            "num_attention_heads": tower.width // tower.head_width,
            "image_size": 224,
            "patch_size": 14,
            "hidden_act": "gelu",
        },
        pad_token_id=ids["pad"],
        bos_token_id=ids["bos"],
        eos_token_id=ids["eos"],
        tie_word_embeddings=False,
    )
    model = IdeficsForVisionText2Text(config)
    set_generation(model, ids)
    return model
