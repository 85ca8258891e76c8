"""FLOPs of what stands before the language model, for one picture, in each family."""

from __future__ import annotations

from pruneproof.backbones.flops.connectors import llava_projector, perceiver_resampler, q_former, qwen_merger
from pruneproof.backbones.flops.parts import linear
from pruneproof.backbones.flops.towers import qwen_vision_tower, vision_tower
from pruneproof.planning.amounts import Amount
from pruneproof.planning.layouts import QWEN, SIGLIP
from pruneproof.planning.shapes import Shape
from pruneproof.pruning.protocol import Signals


def tower(shape: Shape) -> int:
    """The vision tower."""
    if shape.family in QWEN:
        assert shape.layout is not None
        return qwen_vision_tower(shape.vision, *shape.layout.grids[0])
    return shape.crops * vision_tower(shape.vision, cls=0 if shape.family in SIGLIP else 1)


def usual(shape: Shape) -> Signals:
    """Signals that are kept for every picture, as of `Backbone.usual`."""
    if shape.family in (*QWEN, *SIGLIP):
        return Signals(received_attention=(-1,))
    return Signals(cls_attention=(-1, -2), aligned=(-1,))


def keys(shape: Shape) -> int:
    """Keys of one layer; in Qwen's queries and values are made with them."""
    return linear(
        shape.patches, shape.vision.hidden_size, (3 if shape.family in QWEN else 1) * shape.vision.hidden_size
    )


def received(shape: Shape) -> int:
    """Attention that patches receive in one layer of one crop, or of the whole picture."""
    count, width = shape.patches // shape.crops, shape.vision.hidden_size
    made = linear(count, width, (3 if shape.family in QWEN else 2) * width)
    return shape.crops * (made + linear(count, width, count))


def connector(shape: Shape, kept: int | None) -> Amount:
    """The connector on a selection.

    Args:
        shape: of the backbone.
        kept: tokens that pass it; None for all, which is what a projector projects once for everything that is asked
            about a picture.
    """
    count = shape.tokens if kept is None else kept
    if shape.family == "blip2":
        former = shape.config.qformer_config.num_hidden_layers
        return Amount(q_former(shape.config, count + 1), former)
    if shape.family == "flamingo":
        return Amount(perceiver_resampler(shape.config, count + 1), shape.config.perceiver_config.resampler_depth)
    if shape.family in QWEN:
        return Amount(qwen_merger(shape.config, count), 1 + len(getattr(shape.vision, "deepstack_visual_indexes", ())))
    if shape.family == "smolvlm":
        return Amount(linear(count, shape.width, shape.text.hidden_size), 1)
    projected = count if shape.layout is None else shape.layout.projected
    return Amount(llava_projector(shape.config, projected), 1)
