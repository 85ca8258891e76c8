"""Stock transformers models cut into the parts that `true_shapes.py` measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from performance._random_weights import random_model, random_text_tower
from torch import Tensor
from transformers import (
    Blip2ForConditionalGeneration,
    DynamicCache,
    IdeficsForVisionText2Text,
    LlavaForConditionalGeneration,
)
from transformers.models.blip_2.modeling_blip_2 import Blip2EncoderLayer

from pruneproof.backbones.clip.space_end import ImageEnd
from pruneproof.backbones.families._blip2_vision import split_layer


@dataclass(frozen=True, slots=True)
class Seen:
    """The vision tower's output on a batch of images."""

    before: Tensor
    """[B, 1 + N, D] input of the last layer, CLS first."""
    after: Tensor
    """[B, 1 + N, D] output of the last layer, before any norm."""
    unprunable: Tensor
    """[B, M, D] what the connector reads whatever is kept."""
    features: Tensor
    """[B, N, D] the patches as the connector reads them."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A model cut into the parts that are timed one by one."""

    see: Callable[[Tensor], Seen]
    """Pixels [B, 3, P, P] through the vision tower."""
    attending: Any
    """The tower's last layer as `backbones.clip.vision.cls_attention` takes it."""
    image_end: ImageEnd
    """Patches into CLIP space."""
    text_tower: Any
    connect: Callable[[Tensor], Tensor]
    """[B, M + K, D] tokens through the connector."""
    read: Callable[[Tensor, Tensor, DynamicCache], Tensor]
    """(connector's output, token ids [B, T], empty cache) -> logits [B, V] at the last position of the prompt."""
    step: Callable[[Tensor, Tensor, DynamicCache], Tensor]
    """(connector's output, token ids [B, 1], cache) -> logits [B, V]; the cache grows by one."""


def llava_parts(config: Any, clip: Mapping[str, Any], dtype: torch.dtype, device: str) -> Parts:
    """The parts of a LLaVA."""
    model = random_model(LlavaForConditionalGeneration, config, dtype, device)
    tower, embed = model.model.vision_tower, model.get_input_embeddings()

    def see(pixels: Tensor) -> Seen:
        before, after, _ = _last_layer(tower, tower.encoder.layers[-1], pixels)
        # LLaVA reads `hidden_states[-2]`, which is what the last layer is given, without CLS.
        return Seen(before, after, before[:, :0], before[:, 1:])

    def run(embedded: Tensor, cache: DynamicCache) -> Tensor:
        logits: Tensor = model(inputs_embeds=embedded, past_key_values=cache, logits_to_keep=1).logits[:, -1]
        return logits

    return Parts(
        see=see,
        attending=tower.encoder.layers[-1],
        image_end=_image_end(config, clip, (), dtype, device),
        text_tower=random_text_tower(clip, dtype, device),
        connect=model.model.multi_modal_projector,
        # Image tokens follow the first token of the text, which keeps one place for BOS.
        read=lambda visual, ids, cache: run(torch.cat([embed(ids[:, :1]), visual, embed(ids[:, 1:])], dim=1), cache),
        step=lambda visual, ids, cache: run(embed(ids), cache),
    )


def blip2_parts(config: Any, clip: Mapping[str, Any], dtype: torch.dtype, device: str) -> Parts:
    """The parts of a BLIP-2."""
    model = random_model(Blip2ForConditionalGeneration, config, dtype, device)
    tower, language = model.vision_model, model.language_model
    embed = language.get_input_embeddings()
    last = random_model(Blip2EncoderLayer, tower.config, dtype, device)

    def see(pixels: Tensor) -> Seen:
        before, after, output = _last_layer(tower, tower.encoder.layers[-1], pixels)
        return Seen(before, after, output[:, :1], output[:, 1:])

    def connect(tokens: Tensor) -> Tensor:
        queries = model.query_tokens.expand(len(tokens), -1, -1)
        found = model.qformer(query_embeds=queries, encoder_hidden_states=tokens).last_hidden_state
        projected: Tensor = model.language_projection(found)
        return projected

    def run(embedded: Tensor, cache: DynamicCache) -> Tensor:
        logits: Tensor = language(inputs_embeds=embedded, past_key_values=cache, logits_to_keep=1).logits[:, -1]
        return logits

    return Parts(
        see=see,
        attending=split_layer(tower.encoder.layers[-1]),
        image_end=_image_end(config, clip, (last,), dtype, device),
        text_tower=random_text_tower(clip, dtype, device),
        connect=connect,
        read=lambda visual, ids, cache: run(torch.cat([visual, embed(ids)], dim=1), cache),
        step=lambda visual, ids, cache: run(embed(ids), cache),
    )


def idefics_parts(config: Any, clip: Mapping[str, Any], dtype: torch.dtype, device: str) -> Parts:
    """The parts of a Idefics."""
    model = random_model(IdeficsForVisionText2Text, config, dtype, device)
    tower = model.model.vision_model

    def see(pixels: Tensor) -> Seen:
        before, after, output = _last_layer(tower, tower.encoder.layers[-1], pixels)
        return Seen(before, after, output[:, :1], output[:, 1:])

    def run(visual: Tensor, ids: Tensor, cache: DynamicCache) -> Tensor:
        output = model(
            input_ids=ids,
            perceiver_embeddings=visual[:, None],
            image_attention_mask=torch.ones(*ids.shape, 1, dtype=torch.long, device=ids.device),
            past_key_values=cache,
            logits_to_keep=1,
        )
        logits: Tensor = output.logits[:, -1]
        return logits

    return Parts(
        see=see,
        attending=tower.encoder.layers[-1],
        image_end=_image_end(config, clip, (), dtype, device),
        text_tower=random_text_tower(clip, dtype, device),
        connect=model.model.perceiver_resampler,
        read=run,
        step=run,
    )


def _last_layer(tower: Any, layer: Any, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Input and output of the tower's last layer, and the tower's own output."""
    found: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _, given, output: found.extend((given[0], output)))
    try:
        output: Tensor = tower(pixels).last_hidden_state
    finally:
        hook.remove()
    return found[0], found[1], output


def _image_end(
    config: Any, clip: Mapping[str, Any], layers: tuple[Any, ...], dtype: torch.dtype, device: str
) -> ImageEnd:
    width, space = config.vision_config.hidden_size, clip["embed_dim"]
    norm = torch.nn.LayerNorm(width, device=device, dtype=dtype).requires_grad_(False)
    projection = torch.empty(width, space, device=device, dtype=dtype).uniform_(-(width**-0.5), width**-0.5)
    return ImageEnd(layers, norm, lambda state: state @ projection)
