"""FLOPs in closed form, from a transformers config and token counts: what torch's counter should find.

The conventions are those of `torch.utils.flop_counter` (`mm_flop`, `conv_flop`, `sdpa_flop`): two for each
multiplication and addition; only matrix products, convolutions and attention count; causal attention counts as if
nothing were masked. Everything is for one question on one image. The layers are read from transformers (the classes
named below) and from open_clip `transformer.py::TextTransformer`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pruneproof.errors import PruneProofError

Tokens: TypeAlias = int | Sequence[int]
"""A number of tokens in all layers, or one for each."""

ClipConfig = Mapping[str, Any]
"""An open_clip model config, as `open_clip.get_model_config` gives it."""


@dataclass(frozen=True, slots=True)
class Flops:
    """One question on one image, by component; the names are those of `answering.costs.FlopRow.component`."""

    vision_tower: int
    text_tower: int
    scoring: int
    connector: int
    prefill: int
    """The language model on the prompt, with logits at its last position."""
    decode: int
    """The language model on one further token."""


def linear(rows: int, inputs: int, outputs: int) -> int:
    """A matrix product [rows, inputs] x [inputs, outputs]."""
    return 2 * rows * inputs * outputs


def attention(queries: int, keys: int, width: int) -> int:
    """Scores and weighted sum over all heads, which together are `width` wide."""
    return 4 * queries * keys * width


def patches(vision: Any) -> int:
    """Patch tokens of a square image, CLS not among them."""
    return int(vision.image_size // vision.patch_size) ** 2


def vision_tower(vision: Any, cls: int = 1) -> int:
    """A vision transformer, all of its layers.

    Source: transformers `CLIPVisionModel`, `Blip2VisionModel` and `IdeficsVisionTransformer`, which agree in shape, and
    without CLS `SiglipVisionModel` (its pooling head left out) and `SmolVLMVisionTransformer`.

    Args:
        vision: its config.
        cls: tokens besides the patches.
    """
    count, width = patches(vision), vision.hidden_size
    embedding = linear(count, 3 * vision.patch_size**2, width)
    return int(embedding + vision.num_hidden_layers * _encoder_layer(count + cls, width, vision.intermediate_size))


def text_tower(clip: ClipConfig) -> int:
    """open_clip's text transformer on one text, padded to its context length, and its projection.

    Source: open_clip `transformer.py::TextTransformer`.
    """
    text = clip["text_cfg"]
    width = text["width"]
    layer = _encoder_layer(text.get("context_length", 77), width, int(width * text.get("mlp_ratio", 4.0)))
    return int(text["layers"] * layer + linear(1, width, clip["embed_dim"]))


def cls_row(vision: Any) -> int:
    """Attention of CLS to every token in one layer. Source: `clip.vision.cls_attention`."""
    tokens, width = patches(vision) + 1, vision.hidden_size
    return linear(1, width, width) + linear(tokens, width, width) + linear(1, width, tokens)


def clip_end(vision: Any, tokens: int, embed_dim: int, layers: int = 0) -> int:
    """Tokens of a vision tower through the CLIP layers that the tower lacks, and the projection into CLIP space.

    Source: `_clip_space_end.ImageEnd`.
    """
    width = vision.hidden_size
    return layers * _encoder_layer(tokens, width, vision.intermediate_size) + linear(tokens, width, embed_dim)


def cosines(vision: Any, embed_dim: int) -> int:
    """Every patch with one text."""
    return linear(1, embed_dim, patches(vision))


def llava_projector(config: Any, tokens: int) -> int:
    """LLaVA's two-layer projector. Source: transformers `LlavaMultiModalProjector`."""
    width = config.text_config.hidden_size
    return linear(tokens, config.vision_config.hidden_size, width) + linear(tokens, width, width)


def q_former(config: Any, tokens: int) -> int:
    """BLIP-2's Q-Former, whose queries read `tokens` (CLS among them), and the language projection.

    Source: transformers `Blip2QFormerLayer`, `Blip2Model.language_projection`.
    """
    former, queries = config.qformer_config, config.num_query_tokens
    width, seen = former.hidden_size, former.encoder_hidden_size
    layer = _encoder_layer(queries, width, former.intermediate_size)
    cross = 2 * linear(queries, width, width) + 2 * linear(tokens, seen, width) + attention(queries, tokens, width)
    crossings = len(range(0, former.num_hidden_layers, former.cross_attention_frequency))
    projection = linear(queries, width, config.text_config.hidden_size)
    return int(former.num_hidden_layers * layer + crossings * cross + projection)


def perceiver_resampler(config: Any, tokens: int) -> int:
    """Idefics' perceiver resampler on `tokens` (CLS among them); latents are keys beside them.

    Source: transformers `idefics/perceiver.py::IdeficsPerceiverAttention`, `IdeficsMLP`.
    """
    perceiver, width = config.perceiver_config, config.vision_config.hidden_size
    latents, inner = perceiver.resampler_n_latents, perceiver.resampler_n_heads * perceiver.resampler_head_dim
    keys = tokens + latents
    attending = 2 * linear(latents, width, inner) + 2 * linear(keys, width, inner) + attention(latents, keys, inner)
    return int(perceiver.resampler_depth * (attending + _feed_forward(latents, width, 4 * width)))


def llama(text: Any, new: Tokens, cached: Tokens) -> int:
    """`new` tokens after `cached` ones, and the logits of the last.

    Source: transformers `LlamaForCausalLM`, which Mistral's and Qwen2's agree with in shape.
    """
    width, layers = text.hidden_size, text.num_hidden_layers
    queries, keys = _llama_widths(text)

    def layer(new: int, cached: int) -> int:
        projections = 2 * linear(new, width, queries) + 2 * linear(new, width, keys)
        return projections + attention(new, cached + new, queries) + _gated(new, width, text.intermediate_size)

    lengths = zip(_by_layer(new, layers), _by_layer(cached, layers), strict=True)
    return int(sum(layer(*one) for one in lengths) + linear(1, width, text.vocab_size))


def attention_rows(text: Any, rows: int, tokens: int) -> int:
    """Attention of some tokens to all, computed apart for a method. Source: `_narrowing_view.Entering.attention`."""
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
    layer = attending + _feed_forward(new, width, text.ffn_dim)
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
    feed_forward = _gated(new, width, config.intermediate_size)
    layer = 4 * linear(new, width, width) + attention(new, cached + new, width) + feed_forward
    cross = 2 * linear(new, width, width) + 2 * linear(latents, seen, width) + attention(new, latents, width)
    crossings = len(range(0, config.num_hidden_layers, config.cross_layer_interval))
    head = linear(1, width, config.vocab_size + config.additional_vocab_size)
    return int(config.num_hidden_layers * layer + crossings * (cross + feed_forward) + head)


def llava(
    config: Any,
    kept: int,
    text: int,
    generated: int = 1,
    clip: ClipConfig | None = None,
    budget: Sequence[int] | None = None,
) -> Flops:
    """LLaVA with `kept` visual tokens.

    Args:
        config: a `LlavaConfig`.
        kept: visual tokens that reach the projector.
        text: prompt tokens, image placeholders left out.
        generated: tokens generated so far, the decoded one being the last of them; at least 1.
        clip: with ATP, the open_clip pair that it scores by; None without a method.
        budget: visual tokens that each layer of the language model reads, as of `protocol.Method.budget`; None for
            `kept` in all.
    """
    vision, left = config.vision_config, budget or (kept,) * config.text_config.num_hidden_layers
    return Flops(
        vision_tower(vision),
        *_scored(vision, clip, lambda space: clip_end(vision, patches(vision), space)),
        llava_projector(config, kept),
        llama(config.text_config, [n + text for n in left], 0),
        llama(config.text_config, 1, [n + text + generated - 1 for n in left]),
    )


def llava_next(
    config: Any,
    crops: int,
    visual: int,
    kept: int,
    newlines: int,
    text: int,
    generated: int = 1,
    clip: ClipConfig | None = None,
) -> Flops:
    """LLaVA-NeXT with `kept` of the visual tokens of all crops.

    Args:
        config: a `LlavaNextConfig`.
        crops: squares that pass the vision tower, the whole picture among them.
        visual: visual tokens of all crops, padding left out.
        kept: as of `llava`.
        newlines: rows of the grid of which a token is kept; each ends with a learned newline.
        text: as of `llava`.
        generated: as of `llava`.
        clip: as of `llava`.
    """
    vision, prompt = config.vision_config, kept + newlines + text
    words, scoring = (0, 0) if clip is None else (text_tower(clip), crops * cls_row(vision))
    if clip is not None:
        scoring += clip_end(vision, visual, clip["embed_dim"]) + linear(1, clip["embed_dim"], visual)
    return Flops(
        crops * vision_tower(vision),
        words,
        scoring,
        llava_projector(config, kept),
        llama(config.text_config, prompt, 0),
        llama(config.text_config, 1, prompt + generated - 1),
    )


def llava_onevision(
    config: Any, crops: int, patches: int, kept: int, newlines: int, text: int, generated: int = 1
) -> Flops:
    """LLaVA-OneVision with `kept` of the visual tokens of all crops.

    Args:
        config: a `LlavaOnevisionConfig`.
        crops: as of `llava_next`.
        patches: that the kept tokens are made of: as many as tokens, or more where the grid was made smaller.
        kept: as of `llava`.
        newlines: as of `llava_next`.
        text: as of `llava`.
        generated: as of `llava`.
    """
    prompt = kept + newlines + text
    return Flops(
        crops * vision_tower(config.vision_config, cls=0),
        0,
        0,
        llava_projector(config, patches),
        llama(config.text_config, prompt, 0),
        llama(config.text_config, 1, prompt + generated - 1),
    )


def smolvlm(config: Any, crops: int, kept: int, markers: int, text: int, generated: int = 1) -> Flops:
    """SmolVLM with `kept` of the visual tokens of all crops.

    Args:
        config: a `SmolVLMConfig`.
        crops: as of `llava_next`.
        kept: as of `llava`.
        markers: tokens of the text that stands before, between and after the crops.
        text: as of `llava`.
        generated: as of `llava`.
    """
    vision, prompt = config.vision_config, kept + markers + text
    block = vision.hidden_size * config.scale_factor**2
    return Flops(
        crops * vision_tower(vision, cls=0),
        0,
        0,
        linear(kept, block, config.text_config.hidden_size),
        llama(config.text_config, prompt, 0),
        llama(config.text_config, 1, prompt + generated - 1),
    )


def qwen_vl(
    config: Any, rows: int, columns: int, kept: int, text: int, generated: int = 1, received: bool = False
) -> Flops:
    """Qwen2.5-VL or Qwen3-VL with `kept` of the visual tokens, which are groups of 2 x 2 patches.

    Args:
        config: a `Qwen2_5_VLConfig` or `Qwen3VLConfig`.
        rows: of groups in the picture.
        columns: and groups in each.
        kept: as of `llava`.
        text: as of `llava`.
        generated: as of `llava`.
        received: whether a method looks at the attention that tokens receive in the last layer of the tower.
    """
    vision, count = config.vision_config, rows * columns * config.vision_config.spatial_merge_size**2
    width = vision.hidden_size
    mergers = 1 + len(getattr(vision, "deepstack_visual_indexes", ()))
    block = width * vision.spatial_merge_size**2
    merging = linear(kept, block, block) + linear(kept, block, config.text_config.hidden_size)
    return Flops(
        qwen_vision_tower(vision, rows, columns),
        0,
        linear(count, width, 3 * width) + linear(count, width, count) if received else 0,
        mergers * merging,
        llama(config.text_config, kept + text, 0),
        llama(config.text_config, 1, kept + text + generated - 1),
    )


def qwen_vision_tower(vision: Any, rows: int, columns: int) -> int:
    """The tower of Qwen2.5-VL, most of whose layers look into windows of groups, or of Qwen3-VL; without the mergers.

    Source: transformers `Qwen2_5_VisionTransformerPretrainedModel`, `Qwen3VLVisionModel`.

    Args:
        vision: its config.
        rows: of groups in the picture.
        columns: and groups in each.
    """
    group, width = vision.spatial_merge_size**2, vision.hidden_size
    count = rows * columns * group
    windowed = hasattr(vision, "window_size")
    feed_forward = (_gated if windowed else _feed_forward)(count, width, vision.intermediate_size)
    rest = linear(count, width, 3 * width) + linear(count, width, width) + feed_forward
    whole, depth = attention(count, count, width), vision.num_hidden_layers
    full = len(vision.fullatt_block_indexes) if windowed else depth
    within = 0
    if windowed:
        side = vision.window_size // vision.spatial_merge_size // vision.patch_size
        down, across = ([min(side, length - at) for at in range(0, length, side)] for length in (rows, columns))
        within = sum(attention(group * high * wide, group * high * wide, width) for high in down for wide in across)
    embedding = linear(count, 3 * vision.temporal_patch_size * vision.patch_size**2, width)
    return int(embedding + depth * rest + full * whole + (depth - full) * within)


def blip2(
    config: Any, kept: int, text: int, generated: int = 1, clip: ClipConfig | None = None, lacking: int = 0
) -> Flops:
    """BLIP-2 with `kept` visual tokens and CLS before its Q-Former.

    Args:
        config: a `Blip2Config`.
        kept: as of `llava`.
        text: as of `llava`.
        generated: as of `llava`.
        clip: as of `llava`.
        lacking: CLIP layers that the vision tower lacks; 1 in the published models, which have 39 of EVA-g's 40.

    Raises:
        PruneProofError: for a language model other than OPT and T5.
    """
    vision, prompt = config.vision_config, config.num_query_tokens + text
    languages: dict[str, Callable[[], tuple[int, int]]] = {
        "opt": lambda: (opt(config.text_config, prompt, 0), opt(config.text_config, 1, prompt + generated - 1)),
        "t5": lambda: (
            t5_encoder(config.text_config, prompt) + t5_decoder_step(config.text_config, 0, prompt),
            t5_decoder_step(config.text_config, generated, prompt),
        ),
    }
    kind = config.text_config.model_type
    if kind not in languages:
        raise PruneProofError(
            f"BLIP-2's language model is {kind!r}: closed formulas of FLOPs exist for opt and t5 only"
        )
    return Flops(
        vision_tower(vision),
        # The missing layers look at CLS too.
        *_scored(vision, clip, lambda space: clip_end(vision, patches(vision) + 1, space, lacking)),
        q_former(config, kept + 1),
        *languages[kind](),
    )


def idefics(config: Any, kept: int, text: int, generated: int = 1, clip: ClipConfig | None = None) -> Flops:
    """Idefics with `kept` visual tokens and CLS before its perceiver resampler; arguments as of `llava`."""
    vision = config.vision_config
    return Flops(
        vision_tower(vision),
        *_scored(vision, clip, lambda space: clip_end(vision, patches(vision), space)),
        perceiver_resampler(config, kept + 1),
        idefics_language(config, text, 0),
        idefics_language(config, 1, text + generated - 1),
    )


def _scored(vision: Any, clip: ClipConfig | None, end: Callable[[int], int]) -> tuple[int, int]:
    """Text tower and ATP's scores; `end` maps the dimension of CLIP space to the cost of taking the patches there."""
    if clip is None:
        return 0, 0
    space = clip["embed_dim"]
    return text_tower(clip), cls_row(vision) + end(space) + cosines(vision, space)


def _encoder_layer(tokens: int, width: int, inner: int) -> int:
    return 4 * linear(tokens, width, width) + attention(tokens, tokens, width) + _feed_forward(tokens, width, inner)


def _feed_forward(tokens: int, width: int, inner: int) -> int:
    return 2 * linear(tokens, width, inner)


def _gated(tokens: int, width: int, inner: int) -> int:
    return 3 * linear(tokens, width, inner)


def _t5_feed_forward(text: Any, tokens: int) -> int:
    return (_gated if text.is_gated_act else _feed_forward)(tokens, text.d_model, text.d_ff)
