"""Language models: some new tokens after cached ones, with the logits of the last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from pruneproof.backbones.flops.parts import attention, feed_forward, gated, linear

Tokens: TypeAlias = int | Sequence[int]
"""A number of tokens in all layers, or one for each."""


def llama(text: Any, new: Tokens, cached: Tokens) -> int:
    """`new` tokens after `cached` ones, and the logits of the last.

    Source: transformers `LlamaForCausalLM`, which Mistral's and Qwen2's agree with in shape.
    """
    width, layers = text.hidden_size, text.num_hidden_layers
    queries, keys = _llama_widths(text)

    def layer(new: int, cached: int) -> int:
        projections = 2 * linear(new, width, queries) + 2 * linear(new, width, keys)
        return projections + attention(new, cached + new, queries) + gated(new, width, text.intermediate_size)

    lengths = zip(_by_layer(new, layers), _by_layer(cached, layers), strict=True)
    return int(sum(layer(*one) for one in lengths) + linear(1, width, text.vocab_size))


def attention_rows(text: Any, rows: int, tokens: int) -> int:
    """Attention of some tokens to all, computed apart for a method. Source: `language.narrowing_view.Entering`."""
    width = text.hidden_size
    queries, keys = _llama_widths(text)
    return linear(rows, width, queries) + linear(tokens, width, keys) + linear(rows, queries, tokens)


def _llama_widths(text: Any) -> tuple[int, int]:
    """All query heads together, and all key heads."""
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return head * text.num_attention_heads, head * text.num_key_value_heads


def _by_layer(tokens: Tokens, layers: int) -> Sequence[int]:
    return (tokens,) * layers if isinstance(tokens, int) else tokens


def opt(text: Any, new: int, cached: int) -> int:
    """`new` tokens after `cached` ones, and the logits of the last. Source: transformers `OPTForCausalLM`."""
    width, outer = text.hidden_size, text.word_embed_proj_dim
    attending = 4 * linear(new, width, width) + attention(new, cached + new, width)
    layer = attending + feed_forward(new, width, text.ffn_dim)
    projections = 2 * linear(new, width, outer) if outer != width else 0
    return int(text.num_hidden_layers * layer + projections + linear(1, outer, text.vocab_size))


def t5_encoder(text: Any, length: int) -> int:
    """A prompt. Source: transformers `T5Stack` as encoder."""
    width, inner = text.d_model, text.num_heads * text.d_kv
    layer = 4 * linear(length, width, inner) + attention(length, length, inner) + _t5_feed_forward(text, length)
    return int(text.num_layers * layer)


def t5_decoder_step(text: Any, cached: int, encoded: int) -> int:
    """One token after `cached` ones, and its logits; the first step also makes the keys and values of the prompt.

    Source: transformers `T5Stack` as decoder, `T5Attention` with an `EncoderDecoderCache`.
    """
    width, inner = text.d_model, text.num_heads * text.d_kv
    own = 4 * linear(1, width, inner) + attention(1, cached + 1, inner)
    crossing = 2 * linear(1, width, inner) + attention(1, encoded, inner)
    if cached == 0:
        crossing += 2 * linear(encoded, width, inner)
    layer = own + crossing + _t5_feed_forward(text, 1)
    return int(text.num_decoder_layers * layer + linear(1, width, text.vocab_size))


def idefics_language(config: Any, new: int, cached: int) -> int:
    """Llama with gated cross-attention to the latents of one image: `new` tokens after `cached`, logits of the last.

    transformers keeps no keys and values of the latents, so each decoded token computes them again.

    Source: transformers `IdeficsModel.forward`, `IdeficsGatedCrossAttentionLayer`.
    """
    width, seen = config.hidden_size, config.vision_config.hidden_size
    latents = config.perceiver_config.resampler_n_latents
    feed_forward = gated(new, width, config.intermediate_size)
    layer = 4 * linear(new, width, width) + attention(new, cached + new, width) + feed_forward
    cross = 2 * linear(new, width, width) + 2 * linear(latents, seen, width) + attention(new, latents, width)
    crossings = len(range(0, config.num_hidden_layers, config.cross_layer_interval))
    head = linear(1, width, config.vocab_size + config.additional_vocab_size)
    return int(config.num_hidden_layers * layer + crossings * (cross + feed_forward) + head)


def _t5_feed_forward(text: Any, tokens: int) -> int:
    return (gated if text.is_gated_act else feed_forward)(tokens, text.d_model, text.d_ff)
