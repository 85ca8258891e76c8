"""FLOPs in closed form, from a transformers config and token counts: what torch's counter should find.

The conventions are those of `torch.utils.flop_counter` (`mm_flop`, `conv_flop`, `sdpa_flop`): two for each
multiplication and addition; only matrix products, convolutions and attention count; causal attention counts as if
nothing were masked. Everything is for one question on one image. The layers are read from transformers (the classes
named with them) and from open_clip `transformer.py::TextTransformer`.

Here are the families; what they are made of is in `towers`, `connectors`, `languages` and `parts`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pruneproof.backbones.flops.connectors import llava_projector, perceiver_resampler, q_former, qwen_merger
from pruneproof.backbones.flops.languages import (
    attention_rows,
    idefics_language,
    llama,
    opt,
    t5_decoder_step,
    t5_encoder,
)
from pruneproof.backbones.flops.parts import linear
from pruneproof.backbones.flops.towers import (
    ClipConfig,
    clip_end,
    cls_row,
    cosines,
    patches,
    qwen_vision_tower,
    text_tower,
    vision_tower,
)
from pruneproof.errors import PruneProofError

__all__ = [
    "Flops",
    "attention_rows",
    "blip2",
    "idefics",
    "linear",
    "llava",
    "llava_next",
    "llava_onevision",
    "patches",
    "qwen_vl",
    "smolvlm",
    "text_tower",
    "vision_tower",
]


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
    return Flops(
        qwen_vision_tower(vision, rows, columns),
        0,
        linear(count, width, 3 * width) + linear(count, width, count) if received else 0,
        qwen_merger(config, kept),
        llama(config.text_config, kept + text, 0),
        llama(config.text_config, 1, kept + text + generated - 1),
    )


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
