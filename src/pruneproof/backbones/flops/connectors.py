"""What stands between vision tower and language model."""

from __future__ import annotations

from typing import Any

from pruneproof.backbones.flops.parts import attention, encoder_layer, feed_forward, linear


def llava_projector(config: Any, tokens: int) -> int:
    """LLaVA's two-layer projector. Source: transformers `LlavaMultiModalProjector`."""
    width = config.text_config.hidden_size
    return linear(tokens, config.vision_config.hidden_size, width) + linear(tokens, width, width)


def qwen_merger(config: Any, tokens: int) -> int:
    """The mergers of Qwen2.5-VL and Qwen3-VL, those of DeepStack among them, on `tokens` groups of patches.

    Source: transformers `Qwen2_5_VLPatchMerger`, `Qwen3VLVisionPatchMerger`.
    """
    vision = config.vision_config
    block = vision.hidden_size * vision.spatial_merge_size**2
    mergers = 1 + len(getattr(vision, "deepstack_visual_indexes", ()))
    return mergers * (linear(tokens, block, block) + linear(tokens, block, config.text_config.hidden_size))


def q_former(config: Any, tokens: int) -> int:
    """BLIP-2's Q-Former, whose queries read `tokens` (CLS among them), and the language projection.

    Source: transformers `Blip2QFormerLayer`, `Blip2Model.language_projection`.
    """
    former, queries = config.qformer_config, config.num_query_tokens
    width, seen = former.hidden_size, former.encoder_hidden_size
    layer = encoder_layer(queries, width, former.intermediate_size)
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
    return int(perceiver.resampler_depth * (attending + feed_forward(latents, width, 4 * width)))
