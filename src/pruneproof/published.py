"""Published checkpoints and data sets that the ready studies name: what to fetch, and the shapes that memory and time
follow from.

Repositories, commits and digests are those that independent projects pin; sizes follow from the shapes in the
checkpoints' configs. What could not be confirmed is left out, and `check` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, SimpleNamespace
from typing import Any

from pruneproof.settings import BenchmarkSettings


@dataclass(frozen=True, slots=True)
class Published:
    """The weights of one checkpoint."""

    title: str
    family: str
    parameters: int
    """Of the class that reads it; the bytes of its weights in float16 are twice as many."""
    config: Any
    """The part of its config that FLOPs and memory depend on, with transformers' names."""
    layers: int
    """Of the language model."""
    width: int
    """Of its keys, and of its values, at one position of one layer."""
    revision: str | None = None
    """The commit that `shards` belong to; None where none could be confirmed."""
    shards: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 by name of the file with weights; empty where the names are not known."""
    pixels: tuple[int, int] | None = None
    """Least and most pixels of a picture as its processor resizes it; None where all are read at one size."""


def _shape(**values: Any) -> SimpleNamespace:
    return SimpleNamespace(**values)


def _vision(width: int, inner: int, layers: int, pixels: int) -> SimpleNamespace:
    return _shape(
        hidden_size=width, intermediate_size=inner, num_hidden_layers=layers, image_size=pixels, patch_size=14
    )


_LLAMA_7B = {
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
}

_QWEN_VISION = {"num_attention_heads": 16, "spatial_merge_size": 2, "temporal_patch_size": 2}

CHECKPOINTS: Mapping[str, Published] = MappingProxyType(
    {
        "llava-hf/llava-1.5-7b-hf": Published(
            "LLaVA-1.5-7B",
            "llava",
            7_063_427_072,
            _shape(
                vision_config=_vision(1024, 4096, 24, 336),
                text_config=_shape(**_LLAMA_7B, vocab_size=32064),
            ),
            layers=32,
            width=4096,
            revision="b234b804b114d9e37bb655e11cbbb5f5e971b7a9",
            shards=MappingProxyType(
                {
                    "model-00001-of-00003.safetensors": (
                        "c11dbf016ee7d35ee130c19b67e20eb04873996006f424b7bcbd453b6517ee66"
                    ),
                    "model-00002-of-00003.safetensors": (
                        "46df6c6e5fad297fe7fbca4963dcf180cb1d0528cabc884d1f603311fed01328"
                    ),
                    "model-00003-of-00003.safetensors": (
                        "4f06177c37ca13944e73b57dd6d051767b950dffc12400c700dfa2509c24c697"
                    ),
                }
            ),
        ),
        "Salesforce/blip2-flan-t5-xl": Published(
            "BLIP-2 Flan-T5-XL",
            "blip2",
            3_876_648_448,
            _shape(
                vision_config=_vision(1408, 6144, 39, 224),
                num_query_tokens=32,
                qformer_config=_shape(
                    hidden_size=768,
                    intermediate_size=3072,
                    num_hidden_layers=12,
                    cross_attention_frequency=2,
                    encoder_hidden_size=1408,
                ),
                text_config=_shape(
                    model_type="t5",
                    hidden_size=2048,
                    d_model=2048,
                    d_kv=64,
                    d_ff=5120,
                    num_heads=32,
                    num_layers=24,
                    num_decoder_layers=24,
                    is_gated_act=True,
                    vocab_size=32128,
                ),
            ),
            layers=48,  # keys and values of the decoder itself, and of the prompt that it looks at
            width=2048,
            revision="0eb0d3b46c14c1f8c7680bca2693baafdb90bb28",
        ),
        "HuggingFaceM4/idefics-9b": Published(
            "Idefics-9B",
            "flamingo",
            8_929_679_632,
            _shape(
                **_LLAMA_7B,
                vocab_size=32000,
                additional_vocab_size=2,
                cross_layer_interval=4,
                vision_config=_vision(1280, 5120, 32, 224),
                perceiver_config=_shape(
                    resampler_n_latents=64, resampler_depth=6, resampler_n_heads=16, resampler_head_dim=96
                ),
            ),
            layers=32,
            width=4096,
        ),
        "Qwen/Qwen2.5-VL-7B-Instruct": Published(
            "Qwen2.5-VL-7B",
            "qwen2_5_vl",
            8_292_166_656,
            _shape(
                vision_config=_shape(
                    **_QWEN_VISION,
                    hidden_size=1280,
                    intermediate_size=3420,
                    num_hidden_layers=32,
                    patch_size=14,
                    window_size=112,
                    fullatt_block_indexes=(7, 15, 23, 31),
                ),
                text_config=_shape(
                    hidden_size=3584,
                    intermediate_size=18944,
                    num_hidden_layers=28,
                    num_attention_heads=28,
                    num_key_value_heads=4,
                    vocab_size=152064,
                ),
            ),
            layers=28,
            width=512,
            revision="cc594898137f460bfe9f0759e9844b3ce807cfb5",
            pixels=(56**2, 16384 * 28**2),
        ),
        "Qwen/Qwen3-VL-8B-Instruct": Published(
            "Qwen3-VL-8B",
            "qwen3_vl",
            8_767_123_696,
            _shape(
                vision_config=_shape(
                    **_QWEN_VISION,
                    hidden_size=1152,
                    intermediate_size=4304,
                    num_hidden_layers=27,
                    patch_size=16,
                    num_position_embeddings=2304,
                    deepstack_visual_indexes=(8, 16, 24),
                ),
                text_config=_shape(
                    hidden_size=4096,
                    intermediate_size=12288,
                    num_hidden_layers=36,
                    num_attention_heads=32,
                    num_key_value_heads=8,
                    head_dim=128,
                    vocab_size=151936,
                ),
            ),
            layers=36,
            width=1024,
            revision="0c351dd01ed87e9c1b53cbc748cba10e6187ff3b",
            pixels=(64 * 32**2, 16384 * 32**2),
        ),
    }
)
"""By hub name."""


@dataclass(frozen=True, slots=True)
class Tower:
    """A pair of towers that open_clip fetches; only its text half and the projections are used."""

    repository: str
    parameters: int


TOWERS: Mapping[tuple[str, str], Tower] = MappingProxyType(
    {
        ("ViT-L-14-336", "openai"): Tower("timm/vit_large_patch14_clip_336.openai", 427_944_193),
        ("EVA01-g-14", "laion400m_s11b_b41k"): Tower(
            "timm/eva_giant_patch14_clip_224.laion400m_s11b_b41k", 1_136_435_841
        ),
        ("ViT-H-14", "laion2b_s32b_b79k"): Tower("laion/CLIP-ViT-H-14-laion2B-s32B-b79K", 986_109_441),
    }
)
"""By open_clip's name and pretrained tag. Source: open_clip `pretrained.py`."""


@dataclass(frozen=True, slots=True)
class Set:
    """The whole of an official benchmark."""

    pictures: int
    answers: float
    """Different questions on a picture, the mean."""
    captions: float = 0
    """Captions of a picture."""
    rows: float = 0
    """Questions on a picture as its authors count them, repeated ones each time; 0 if none is repeated."""


PICTURE = 640, 480
"""Width and height in pixels of most of COCO's pictures."""

SETS: Mapping[str, Set] = {
    "pope": Set(500, 5127 / 500, rows=9000 / 500),
    "vqav2": Set(40_504, 214_354 / 40_504),
    "gqa": Set(398, 12_578 / 398),
    "coco_captions": Set(5_000, 0, captions=1),
}
"""By benchmark, with the options that the ready studies give."""


def pictures(benchmark: BenchmarkSettings) -> int | None:
    """Pictures that a study takes; None for a benchmark whose size is not known here."""
    known = SETS.get(benchmark.name)
    if known is None:
        return None
    return known.pictures if benchmark.images is None else min(benchmark.images, known.pictures)
