"""What reading and continuing a prompt costs in each family's language model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pruneproof.backbones.flops import languages as flops
from pruneproof.backbones.flops.languages import Tokens
from pruneproof.backbones.flops.parts import attention, linear
from pruneproof.planning.shapes import Shape

MASKS = 2
"""Calls of a layer that making a Llama's mask and rotary table for one forward takes as long as."""


@dataclass(frozen=True, slots=True)
class Language:
    """A language model."""

    layers: int
    calls: int
    """Layers that one forward calls, those of a cross-attention among them, and `MASKS`."""
    cached: int
    """Numbers that one position leaves behind as keys and values, in all layers."""
    run: Callable[[Tokens, Tokens], int]
    """FLOPs of `new` tokens after `cached` ones in all layers, without logits."""
    skipped: Callable[[int], int]
    """FLOPs that a position saves in the last layer, which it passes as keys and values only: (positions that it would
    have looked at)."""
    head: int
    """FLOPs of the logits at one position."""
    visual: int | None
    """Positions that a picture takes in the sequence whatever is kept; None if they are the kept tokens."""
    both_ways: bool = False
    """Whether it is an encoder, in which a shared beginning is read again with every question."""

    @property
    def weights(self) -> float:
        """Numbers that one forward reads from memory: each is multiplied once for a token."""
        return (self.run(1, 0) + self.head) / 2


def language(shape: Shape) -> Language:
    """That of a family in `shapes.FAMILIES`."""
    return {"blip2": _blip2, "flamingo": _idefics}.get(shape.family, _llama)(shape.config)


def _llama(config: Any) -> Language:
    text = config.text_config
    head, layers, width = linear(1, text.hidden_size, text.vocab_size), text.num_hidden_layers, text.hidden_size
    one = getattr(text, "head_dim", None) or width // text.num_attention_heads
    queries, keys = one * text.num_attention_heads, one * text.num_key_value_heads
    return Language(
        layers,
        layers + MASKS,
        2 * layers * keys,
        lambda new, cached: flops.llama(text, new, cached) - head,
        lambda seen: (
            2 * linear(1, width, queries) + attention(1, seen, queries) + 3 * linear(1, width, text.intermediate_size)
        ),
        head,
        None,
    )


def _blip2(config: Any) -> Language:
    text, queries = config.text_config, config.num_query_tokens
    if text.model_type == "opt":
        width, layers = text.hidden_size, text.num_hidden_layers
        head = linear(1, text.word_embed_proj_dim, text.vocab_size)
        return Language(
            layers,
            layers,
            2 * layers * width,
            lambda new, cached: flops.opt(text, _one(new), _one(cached)) - head,
            lambda seen: 2 * linear(1, width, width) + attention(1, seen, width) + 2 * linear(1, width, text.ffn_dim),
            head,
            queries,
        )
    head, inner = linear(1, text.d_model, text.vocab_size), text.num_heads * text.d_kv

    def run(new: Tokens, cached: Tokens) -> int:
        if _one(cached):
            return flops.t5_decoder_step(text, 1, _one(cached)) - head
        return flops.t5_encoder(text, _one(new)) + flops.t5_decoder_step(text, 0, _one(new)) - head

    calls = text.num_layers + text.num_decoder_layers
    return Language(text.num_layers, calls, 2 * calls * inner, run, lambda _: 0, head, queries, both_ways=True)


def _idefics(config: Any) -> Language:
    width, layers = config.hidden_size, config.num_hidden_layers
    head = linear(1, width, config.vocab_size + config.additional_vocab_size)
    crossings = len(range(0, layers, config.cross_layer_interval))
    return Language(
        layers,
        layers + crossings,
        2 * layers * width,
        lambda new, cached: flops.idefics_language(config, _one(new), _one(cached)) - head,
        lambda seen: (
            2 * linear(1, width, width) + attention(1, seen, width) + 3 * linear(1, width, config.intermediate_size)
        ),
        head,
        0,
    )


def _one(tokens: Tokens) -> int:
    """The number in all layers of a model in which nothing narrows."""
    return tokens if isinstance(tokens, int) else tokens[0]
