"""Published models at their true shapes.

Each is the stock transformers class. Shapes are those of the checkpoints' configs; `tiny` is the same architecture for
a smoke run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import open_clip
import torch
from performance._true_parts import Parts, blip2_parts, idefics_parts, llava_parts
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    CLIPVisionConfig,
    IdeficsConfig,
    IdeficsForVisionText2Text,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    OPTConfig,
)

from pruneproof.backbones import flops


@dataclass(frozen=True, slots=True)
class Shape:
    """What is built of one family."""

    title: str
    stock: type[Any]
    config: Any
    clip_name: str
    """open_clip's name of the pair that ATP scores by."""
    clip: Mapping[str, Any]
    """Its open_clip config."""
    published_layers: int
    """Layers of the published language model; `config` may have fewer."""
    prompt: Callable[[int, int], int]
    """(visual tokens kept, text tokens) -> positions in the language model."""
    flops: Callable[..., flops.Flops]
    """Closed formula: (config, kept, text, generated=, clip=)."""
    cut: Callable[[Any, Mapping[str, Any], torch.dtype, str], Parts]
    """(config, clip, dtype, device) -> the parts, with random weights."""

    @property
    def text(self) -> Any:
        """The language model's config."""
        return getattr(self.config, "text_config", self.config)

    @property
    def visual_tokens(self) -> int:
        """Patches of one image."""
        return flops.patches(self.config.vision_config)

    def parts(self, dtype: torch.dtype, device: str) -> Parts:
        """The model in parts, with random weights."""
        return self.cut(self.config, self.clip, dtype, device)

    def with_layers(self, count: int) -> Any:
        """The config with another number of language layers."""
        config = type(self.config).from_dict(self.config.to_dict())
        getattr(config, "text_config", config).num_hidden_layers = count
        return config


def llava_shape(tiny: bool) -> Shape:
    """LLaVA-1.5-7B: CLIP ViT-L-14-336, a two-layer projector, Vicuna-7B.

    Source: config.json of llava-hf/llava-1.5-7b-hf; transformers `convert_llava_weights_to_hf.py` pads Vicuna's
    vocabulary of 32,002 to 32,064.
    """
    vision = _vision(tiny, hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, image_size=336)
    language = LlamaConfig(
        **_language(tiny, vocab_size=32064, hidden_size=4096, intermediate_size=11008, num_hidden_layers=32),
        max_position_embeddings=4096,
    )
    config = LlavaConfig(vision_config=CLIPVisionConfig(**vision, hidden_act="quick_gelu"), text_config=language)
    return Shape(
        title="LLaVA-1.5-7B",
        stock=LlavaForConditionalGeneration,
        config=config,
        clip_name="ViT-L-14-336-quickgelu",
        clip=_clip("ViT-L-14-336-quickgelu", tiny),
        published_layers=language.num_hidden_layers,
        prompt=lambda kept, text: kept + text,
        flops=flops.llava,
        cut=llava_parts,
    )


def blip2_shape(tiny: bool) -> Shape:
    """BLIP-2 OPT-2.7B: 39 layers of EVA-g, a Q-Former of 12 layers with 32 queries, OPT-2.7B.

    Source: config.json of Salesforce/blip2-opt-2.7b and facebook/opt-2.7b (whose vocabulary is taken).
    """
    vision = _vision(tiny, hidden_size=1408, intermediate_size=6144, num_hidden_layers=39, image_size=224)
    wide = _language(tiny, vocab_size=50272, hidden_size=2560, intermediate_size=10240, num_hidden_layers=32)
    language = OPTConfig(**wide | {"ffn_dim": wide["intermediate_size"]})
    former = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
    stock: Any = Blip2Config
    config = stock(vision_config=vision, qformer_config=former if tiny else {}, text_config=language)
    return Shape(
        title="BLIP-2 OPT-2.7B",
        stock=Blip2ForConditionalGeneration,
        config=config,
        clip_name="EVA01-g-14",
        clip=_clip("EVA01-g-14", tiny),
        published_layers=language.num_hidden_layers,
        prompt=lambda kept, text: config.num_query_tokens + text,
        # The tower lacks EVA-g's 40th layer, which ATP needs to bring patches into CLIP space.
        flops=lambda *arguments, **named: flops.blip2(*arguments, **named, lacking=1),
        cut=blip2_parts,
    )


def idefics_shape(tiny: bool) -> Shape:
    """Idefics-9B: CLIP ViT-H-14, a perceiver resampler, Llama-7B with gated cross-attention every 4 layers.

    Source: config.json of HuggingFaceM4/idefics-9b.
    """
    vision = _vision(tiny, hidden_size=1280, intermediate_size=5120, num_hidden_layers=32, image_size=224)
    vision["embed_dim"] = vision.pop("hidden_size")
    config = IdeficsConfig(
        **_language(tiny, vocab_size=32000, hidden_size=4096, intermediate_size=11008, num_hidden_layers=32),
        additional_vocab_size=2,
        cross_layer_interval=4,
        qk_layer_norms=True,
        use_resampler=True,
        vision_config=vision,
        perceiver_config={
            "use_resampler": True,
            "resampler_n_latents": 64,
            "resampler_depth": 6,
            "resampler_n_heads": 16,
            "resampler_head_dim": 96,
            "qk_layer_norms_perceiver": True,
        },
    )
    return Shape(
        title="Idefics-9B",
        stock=IdeficsForVisionText2Text,
        config=config,
        clip_name="ViT-H-14",
        clip=_clip("ViT-H-14", tiny),
        published_layers=config.num_hidden_layers,
        prompt=lambda kept, text: text,
        flops=flops.idefics,
        cut=idefics_parts,
    )


SHAPES: Mapping[str, Callable[[bool], Shape]] = {
    "llava-1.5-7b": llava_shape,
    "blip2-opt-2.7b": blip2_shape,
    "idefics-9b": idefics_shape,
}


def _vision(tiny: bool, **published: int) -> dict[str, Any]:
    if tiny:
        published = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "image_size": 56}
    return published | {"patch_size": 14, "num_attention_heads": 4 if tiny else 16}


def _language(tiny: bool, **published: int) -> dict[str, Any]:
    if tiny:
        published = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4, "vocab_size": 128}
    return published | {"num_attention_heads": 4 if tiny else 32}


def _clip(name: str, tiny: bool) -> Mapping[str, Any]:
    if tiny:
        text = {"context_length": 12, "vocab_size": 64, "width": 32, "heads": 4, "layers": 2}
        return {"embed_dim": 24, "text_cfg": text}
    config: Mapping[str, Any] = open_clip.get_model_config(name)
    return config
