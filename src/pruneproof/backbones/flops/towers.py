"""Vision towers, CLIP's text tower, and the way of patches into CLIP space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pruneproof.backbones.flops.parts import attention, encoder_layer, feed_forward, gated, linear

ClipConfig = Mapping[str, Any]
"""An open_clip model config, as `open_clip.get_model_config` gives it."""


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
    return int(embedding + vision.num_hidden_layers * encoder_layer(count + cls, width, vision.intermediate_size))


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
    fed = (gated if windowed else feed_forward)(count, width, vision.intermediate_size)
    rest = linear(count, width, 3 * width) + linear(count, width, width) + fed
    whole, depth = attention(count, count, width), vision.num_hidden_layers
    full = len(vision.fullatt_block_indexes) if windowed else depth
    within = 0
    if windowed:
        side = vision.window_size // vision.spatial_merge_size // vision.patch_size
        down, across = ([min(side, length - at) for at in range(0, length, side)] for length in (rows, columns))
        within = sum(attention(group * high * wide, group * high * wide, width) for high in down for wide in across)
    embedding = linear(count, 3 * vision.temporal_patch_size * vision.patch_size**2, width)
    return int(embedding + depth * rest + full * whole + (depth - full) * within)


def text_tower(clip: ClipConfig) -> int:
    """open_clip's text transformer on one text, padded to its context length, and its projection.

    Source: open_clip `transformer.py::TextTransformer`.
    """
    text = clip["text_cfg"]
    width = text["width"]
    layer = encoder_layer(text.get("context_length", 77), width, int(width * text.get("mlp_ratio", 4.0)))
    return int(text["layers"] * layer + linear(1, width, clip["embed_dim"]))


def cls_row(vision: Any) -> int:
    """Attention of CLS to every token in one layer. Source: `clip.vision.cls_attention`."""
    tokens, width = patches(vision) + 1, vision.hidden_size
    return linear(1, width, width) + linear(tokens, width, width) + linear(1, width, tokens)


def clip_end(vision: Any, tokens: int, embed_dim: int, layers: int = 0) -> int:
    """Tokens of a vision tower through the CLIP layers that the tower lacks, and the projection into CLIP space.

    Source: `clip.space_end.ImageEnd`.
    """
    width = vision.hidden_size
    return layers * encoder_layer(tokens, width, vision.intermediate_size) + linear(tokens, width, embed_dim)


def cosines(vision: Any, embed_dim: int) -> int:
    """Every patch with one text."""
    return linear(1, embed_dim, patches(vision))
