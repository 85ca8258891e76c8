"""The built-in BLIP-2: the CLIP tower of another built-in model, a small Q-Former, and a small OPT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    Blip2QFormerConfig,
    Blip2VisionConfig,
    BlipImageProcessorPil,
    OPTConfig,
    PreTrainedTokenizerFast,
)

from pruneproof.training.clip_model import IMAGE_MEAN, IMAGE_STD
from pruneproof.training.dialogues import Dialogue
from pruneproof.training.packing import pack, packed_states
from pruneproof.training.scene_cache import SceneCache
from pruneproof.training.settings import TrainingSettings
from pruneproof.training.students import About, Glimpse, Predictions
from pruneproof.training.students._blip2_tower import blip2_tower_state
from pruneproof.training.students._initial import match_heads, scale_linear_layers, set_generation
from pruneproof.training.students._slots import CONNECTOR_AIDS, SlotAid
from pruneproof.training.students._words import Words
from pruneproof.training.tokenizer import chat_template, token_ids

ABOUT = About(
    "A real, small `Blip2ForConditionalGeneration`: the vision tower of `builtin_llava` (256 patches and CLS), a "
    "Q-Former with 32 queries, and OPT. BLIP-2's vision model has no norm before its first layer and CLIP's has one; "
    "so the tower here has one layer more than CLIP's, and the first does nothing but this norm.",
    feature_layer=-1,
    aids=(
        *CONNECTOR_AIDS,
        "The keys of {heads} heads of the first language layer start equal to their queries and large, so that a word "
        "attends to outputs like it from the start; they are free afterwards.",
    ),
    demands={"existence/singular": 90.0, "existence/plural": 90.0},
)


class Blip2Student:
    """Q-Former, projection and OPT; implements `Student`."""

    def __init__(self, model: Blip2ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast) -> None:
        self.model: Any = model
        self.tokenizer, self.words = tokenizer, Words(tokenizer)
        self.slots = SlotAid(self.model.language_projection.out_features)
        self.queries = nn.ParameterDict({"tokens": model.query_tokens})

    def trained(self) -> dict[str, nn.Module]:
        """Query tokens, Q-Former, projection, language model with its head, and the throw-away heads."""
        return {
            "queries": self.queries,
            "connector": self.model.qformer,
            "projection": self.model.language_projection,
            "language": self.model.language_model,
            "aid": self.slots,
        }

    def read(self, features: Tensor) -> Tensor:
        """Projected queries [B, V, W]."""
        normal = self.model.vision_model.post_layernorm(features)
        queries = self.model.query_tokens.expand(len(features), -1, -1)
        found = self.model.qformer(query_embeds=queries, encoder_hidden_states=normal).last_hidden_state
        projected: Tensor = self.model.language_projection(found)
        return projected

    def predict(self, visual: Tensor, dialogues: Sequence[Sequence[Dialogue]]) -> Predictions:
        """Answers, an image's dialogues packed after its queries; each begins with `<s>`, as the processor has it."""
        decoder = self.model.language_model.model.decoder
        start = [self.tokenizer.bos_token_id]
        packed = pack(self.tokenizer, dialogues, visual.shape[1], start).to(str(visual.device))
        states = packed_states(decoder, visual, decoder.embed_tokens, packed)
        return packed.predictions(self.model.language_model.lm_head, states)

    def aid(self, visual: Tensor, cache: SceneCache, chosen: Sequence[int], rng: np.random.Generator) -> Tensor:
        """One query a class says whether it is there; see `SlotAid`."""
        scenes = [cache.scenes[i] for i in chosen]
        embed = self.model.language_model.model.decoder.embed_tokens
        return self.slots.loss(visual, scenes, self.words, int(rng.integers(2)), embed)


def student(
    settings: TrainingSettings,
    clip_state: Mapping[str, Tensor],
    tokenizer: PreTrainedTokenizerFast,
    glimpse: Glimpse,
) -> Blip2Student:
    """A BLIP-2 with a finished tower and a fresh Q-Former and language model.

    Args:
        settings: shapes.
        clip_state: state of the open_clip model whose image half becomes the tower.
        tokenizer: of the language model.
        glimpse: some scenes.
    """
    model = _build(settings, len(tokenizer), token_ids(tokenizer))
    model.vision_model.load_state_dict(blip2_tower_state(clip_state, glimpse.patches))
    decoder = model.language_model.model.decoder
    scale_linear_layers(decoder, len(decoder.layers))
    scale_linear_layers(model.qformer, settings.connector.layers)
    scale_linear_layers(nn.ModuleDict({"head": model.language_model.lm_head}), 1)
    scale_linear_layers(nn.ModuleDict({"projection": model.language_projection}), 1)
    with torch.no_grad():
        decoder.embed_tokens.weight.normal_(0.0, 0.3)
        decoder.embed_positions.weight.normal_(0.0, 0.05)
        model.query_tokens.normal_(0.0, 1.0)
    match_heads(decoder.layers[0].self_attn, settings.language.matched_heads)
    return Blip2Student(model, tokenizer)


def processor(settings: TrainingSettings, tokenizer: PreTrainedTokenizerFast) -> Any:
    """What turns pictures and questions into the model's inputs."""
    make: Any = Blip2Processor
    wrap: Any = PreTrainedTokenizerFast
    # Without the attribute `image_token`, which Blip2Processor takes for a token object and cannot then use.
    plain = wrap(
        tokenizer_object=tokenizer.backend_tokenizer,
        pad_token=tokenizer.pad_token,
        bos_token=tokenizer.bos_token,
        eos_token=tokenizer.eos_token,
        clean_up_tokenization_spaces=False,
    )
    made = make(
        image_processor=BlipImageProcessorPil(
            size={"height": 224, "width": 224}, image_mean=list(IMAGE_MEAN), image_std=list(IMAGE_STD)
        ),
        tokenizer=plain,
        num_query_tokens=settings.connector.outputs,
    )
    made.chat_template = chat_template("")
    return made


def _build(settings: TrainingSettings, vocabulary: int, ids: Mapping[str, int]) -> Blip2ForConditionalGeneration:
    tower, language, connector = settings.tower, settings.language, settings.connector
    vision = Blip2VisionConfig(
        hidden_size=tower.width,
        intermediate_size=4 * tower.width,
        num_hidden_layers=tower.layers + 1,
        num_attention_heads=tower.width // tower.head_width,
        image_size=224,
        patch_size=14,
        hidden_act="gelu",
        layer_norm_eps=1e-6,
    )
    qformer = Blip2QFormerConfig(
        hidden_size=language.width,
        num_hidden_layers=connector.layers,
        num_attention_heads=connector.heads,
        intermediate_size=4 * language.width,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        cross_attention_frequency=1,
        encoder_hidden_size=tower.width,
    )
    text = OPTConfig(
        vocab_size=vocabulary,
        hidden_size=language.width,
        word_embed_proj_dim=language.width,
        ffn_dim=language.feed_forward,
        num_hidden_layers=language.layers,
        num_attention_heads=language.heads,
        max_position_embeddings=512,
        dropout=0.0,
        attention_dropout=0.0,
        pad_token_id=ids["pad"],
        bos_token_id=ids["bos"],
        eos_token_id=ids["eos"],
        tie_word_embeddings=False,
    )
    config = Blip2Config(
        vision_config=vision,
        qformer_config=qformer,
        text_config=text,
        num_query_tokens=connector.outputs,
        image_token_index=ids["image"],
    )
    model = Blip2ForConditionalGeneration(config)
    set_generation(model, ids)
    set_generation(model.language_model, ids)
    return model
