"""Published models at their true shapes with random weights, cut into the parts that `true_shapes.py` measures.

Each is the stock transformers class. Shapes are those of the checkpoints' configs; `tiny` is the same architecture for
a smoke run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import open_clip
import torch
from open_clip.transformer import QuickGELU, TextTransformer
from torch import Tensor
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    CLIPVisionConfig,
    DynamicCache,
    IdeficsConfig,
    IdeficsForVisionText2Text,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    OPTConfig,
)
from transformers.initialization import no_init_weights
from transformers.models.blip_2.modeling_blip_2 import Blip2EncoderLayer

from pruneproof.backbones import flops
from pruneproof.backbones.clip.space_end import ImageEnd
from pruneproof.backbones.families._blip2_vision import split_layer


@dataclass(frozen=True, slots=True)
class Seen:
    """The vision tower's output on a batch of images."""

    before: Tensor
    """[B, 1 + N, D] input of the last layer, CLS first."""
    behind: Tensor
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
    """The tower's last layer as `_vision.cls_attention` takes it."""
    image_end: ImageEnd
    """Patches into CLIP space."""
    text_tower: Any
    connect: Callable[[Tensor], Tensor]
    """[B, M + K, D] tokens through the connector."""
    read: Callable[[Tensor, Tensor, DynamicCache], Tensor]
    """(connector's output, token ids [B, T], empty cache) -> logits [B, V] at the last position of the prompt."""
    step: Callable[[Tensor, Tensor, DynamicCache], Tensor]
    """(connector's output, token ids [B, 1], cache) -> logits [B, V]; the cache grows by one."""


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
    build: Callable[[Shape, torch.dtype, str], Parts]

    @property
    def text(self) -> Any:
        """The language model's config."""
        return getattr(self.config, "text_config", self.config)

    @property
    def visual_tokens(self) -> int:
        """Patches of one image."""
        return flops.patches(self.config.vision_config)

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
        build=_llava_parts,
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
        build=_blip2_parts,
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
        build=_idefics_parts,
    )


SHAPES: Mapping[str, Callable[[bool], Shape]] = {
    "llava-1.5-7b": llava_shape,
    "blip2-opt-2.7b": blip2_shape,
    "idefics-9b": idefics_shape,
}


def random_model(stock: Callable[[Any], torch.nn.Module], config: Any, dtype: torch.dtype, device: str) -> Any:
    """A model with random weights that give finite numbers; the slow usual initialisation is left out."""
    with no_init_weights(), torch.device(device), _default(dtype):
        model: Any = stock(config)
    if hasattr(model, "tie_weights"):
        model.tie_weights()
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.ndim > 1:
                weights.uniform_(-(weights.shape[-1] ** -0.5), weights.shape[-1] ** -0.5)
            else:
                weights.fill_(float(name.endswith("weight")))
    return model.eval().requires_grad_(False)


def random_text_tower(clip: Mapping[str, Any], dtype: torch.dtype, device: str) -> Any:
    """open_clip's text half of a pair, at its published shape.

    Source: open_clip `model.py::_build_text_tower`.
    """
    activation = QuickGELU if clip.get("quick_gelu") else torch.nn.GELU
    build = partial(TextTransformer, output_dim=clip["embed_dim"], act_layer=activation)
    return random_model(lambda text: build(**text), clip["text_cfg"], dtype, device)


def _llava_parts(shape: Shape, dtype: torch.dtype, device: str) -> Parts:
    model = random_model(shape.stock, shape.config, dtype, device)
    tower, embed = model.model.vision_tower, model.get_input_embeddings()

    def see(pixels: Tensor) -> Seen:
        before, behind, _ = _last_layer(tower, tower.encoder.layers[-1], pixels)
        # LLaVA reads `hidden_states[-2]`, which is what the last layer is given, without CLS.
        return Seen(before, behind, before[:, :0], before[:, 1:])

    def run(embedded: Tensor, cache: DynamicCache) -> Tensor:
        logits: Tensor = model(inputs_embeds=embedded, past_key_values=cache, logits_to_keep=1).logits[:, -1]
        return logits

    return Parts(
        see=see,
        attending=tower.encoder.layers[-1],
        image_end=_image_end(shape, (), dtype, device),
        text_tower=random_text_tower(shape.clip, dtype, device),
        connect=model.model.multi_modal_projector,
        # Image tokens follow the first token of the text, which keeps one place for BOS.
        read=lambda visual, ids, cache: run(torch.cat([embed(ids[:, :1]), visual, embed(ids[:, 1:])], dim=1), cache),
        step=lambda visual, ids, cache: run(embed(ids), cache),
    )


def _blip2_parts(shape: Shape, dtype: torch.dtype, device: str) -> Parts:
    model = random_model(shape.stock, shape.config, dtype, device)
    tower, language = model.vision_model, model.language_model
    embed = language.get_input_embeddings()
    last = random_model(Blip2EncoderLayer, tower.config, dtype, device)

    def see(pixels: Tensor) -> Seen:
        before, behind, output = _last_layer(tower, tower.encoder.layers[-1], pixels)
        return Seen(before, behind, output[:, :1], output[:, 1:])

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
        image_end=_image_end(shape, (last,), dtype, device),
        text_tower=random_text_tower(shape.clip, dtype, device),
        connect=connect,
        read=lambda visual, ids, cache: run(torch.cat([visual, embed(ids)], dim=1), cache),
        step=lambda visual, ids, cache: run(embed(ids), cache),
    )


def _idefics_parts(shape: Shape, dtype: torch.dtype, device: str) -> Parts:
    model = random_model(shape.stock, shape.config, dtype, device)
    tower = model.model.vision_model

    def see(pixels: Tensor) -> Seen:
        before, behind, output = _last_layer(tower, tower.encoder.layers[-1], pixels)
        return Seen(before, behind, output[:, :1], output[:, 1:])

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
        image_end=_image_end(shape, (), dtype, device),
        text_tower=random_text_tower(shape.clip, dtype, device),
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


def _image_end(shape: Shape, layers: tuple[Any, ...], dtype: torch.dtype, device: str) -> ImageEnd:
    width, space = shape.config.vision_config.hidden_size, shape.clip["embed_dim"]
    norm = torch.nn.LayerNorm(width, device=device, dtype=dtype).requires_grad_(False)
    projection = torch.empty(width, space, device=device, dtype=dtype).uniform_(-(width**-0.5), width**-0.5)
    return ImageEnd(layers, norm, lambda state: state @ projection)


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


@contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
