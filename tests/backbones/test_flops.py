"""Closed formulas against torch's counter on random models of the same classes, and against published tables."""

from __future__ import annotations

import json
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import open_clip
import pytest
import torch
from open_clip.transformer import TextTransformer
from PIL import Image
from tests.backbones.families._alike import counted
from torch import Tensor
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    CLIPVisionConfig,
    DynamicCache,
    EncoderDecoderCache,
    IdeficsConfig,
    IdeficsForVisionText2Text,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    OPTConfig,
    T5Config,
)
from transformers.models.blip_2.modeling_blip_2 import Blip2EncoderLayer
from transformers.models.clip.modeling_clip import CLIPEncoderLayer

from pruneproof import pruning
from pruneproof.answering import costs
from pruneproof.answering.batch import AskedImage, Question
from pruneproof.backbones import flops
from pruneproof.backbones.clip.text_towers import ClipSpace
from pruneproof.backbones.clip.vision import ClipImage
from pruneproof.backbones.families._blip2_vision import Blip2Image, split_layer
from pruneproof.backbones.families.llava import Llava
from pruneproof.errors import PruneProofError
from pruneproof.settings import BackboneSettings, MethodSettings
from pruneproof.stored import Held

ATTENTION = pytest.mark.parametrize("attention", ["sdpa", "eager"])
PIXELS, PATCH = 42, 14
"""9 visual tokens."""
SMALL_LLAMA = LlamaConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2)


def vision_fields(shape: tuple[int, int, int, int]) -> dict[str, Any]:
    width, inner, layers, heads = shape
    fields = {"intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": heads}
    return fields | {"hidden_size": width, "image_size": PIXELS, "patch_size": PATCH}


def pixels() -> Tensor:
    return torch.randn(1, 3, PIXELS, PIXELS)


def shaped(model: Any, attention: str) -> Any:
    """Ready to be counted; the counter stumbles over a parameter that is handed to a module and wants gradients."""
    model.eval().requires_grad_(False).set_attn_implementation(attention)
    return model


SHAPES = pytest.mark.parametrize("shape", [(32, 128, 2, 4), (48, 80, 3, 3)])


@SHAPES
@ATTENTION
@pytest.mark.parametrize("key_heads", [4, 2])
@pytest.mark.parametrize(("kept", "text"), [(9, 5), (4, 11)])
def test_llava(shape: tuple[int, int, int, int], attention: str, key_heads: int, kept: int, text: int) -> None:
    language = LlamaConfig(
        vocab_size=97,
        hidden_size=40,
        intermediate_size=72,
        num_hidden_layers=shape[2],
        num_attention_heads=4,
        num_key_value_heads=key_heads,
    )
    config = LlavaConfig(vision_config=CLIPVisionConfig(**vision_fields(shape)), text_config=language)
    model = shaped(LlavaForConditionalGeneration(config), attention)
    formula = flops.llava(config, kept, text, generated=3)

    assert counted(lambda: model.model.vision_tower(pixels())) == formula.vision_tower
    assert counted(lambda: model.model.multi_modal_projector(torch.randn(1, kept, shape[0]))) == formula.connector
    cache = DynamicCache()

    def forward(tokens: int) -> int:
        inputs = torch.randn(1, tokens, 40)
        return counted(lambda: model(inputs_embeds=inputs, past_key_values=cache, logits_to_keep=1))

    assert forward(kept + text) == formula.prefill
    assert [forward(1) for _ in range(3)][2] == formula.decode
    assert (formula.text_tower, formula.scoring) == (0, 0)


def blip2_config(shape: tuple[int, int, int, int], text: Any, frequency: int = 2) -> Blip2Config:
    former = {
        "hidden_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "intermediate_size": 56,
        "cross_attention_frequency": frequency,
        "vocab_size": 10,
    }
    config: Any = Blip2Config
    return config(vision_config=vision_fields(shape), qformer_config=former, text_config=text, num_query_tokens=6)


@SHAPES
@ATTENTION
@pytest.mark.parametrize(("frequency", "kept", "outer"), [(1, 9, 40), (2, 4, 16)])
def test_blip2_with_opt(
    shape: tuple[int, int, int, int], attention: str, frequency: int, kept: int, outer: int
) -> None:
    language = OPTConfig(
        vocab_size=97,
        hidden_size=40,
        ffn_dim=72,
        num_hidden_layers=shape[2],
        num_attention_heads=4,
        word_embed_proj_dim=outer,
    )
    config = blip2_config(shape, language, frequency)
    model = shaped(Blip2ForConditionalGeneration(config), attention)
    text = 7
    formula = flops.blip2(config, kept, text, generated=2)

    assert counted(lambda: model.vision_model(pixels())) == formula.vision_tower
    assert counted(lambda: connect_blip2(model, torch.randn(1, kept + 1, shape[0]))) == formula.connector
    cache = DynamicCache()

    def forward(tokens: int) -> int:
        inputs = torch.randn(1, tokens, outer)
        return counted(lambda: model.language_model(inputs_embeds=inputs, past_key_values=cache, logits_to_keep=1))

    assert forward(6 + text) == formula.prefill
    assert [forward(1) for _ in range(2)][1] == formula.decode


def connect_blip2(model: Any, seen: Tensor) -> Tensor:
    queries = model.qformer(query_embeds=model.query_tokens, encoder_hidden_states=seen).last_hidden_state
    projected: Tensor = model.language_projection(queries)
    return projected


@ATTENTION
@pytest.mark.parametrize("activation", ["relu", "gated-gelu"])
@pytest.mark.parametrize("decoder_layers", [2, 3])
def test_blip2_with_t5(attention: str, activation: str, decoder_layers: int) -> None:
    language = T5Config(
        vocab_size=97,
        d_model=40,
        d_kv=12,
        d_ff=72,
        num_layers=2,
        num_decoder_layers=decoder_layers,
        num_heads=4,
        feed_forward_proj=activation,
        decoder_start_token_id=0,
    )
    config = blip2_config((32, 128, 2, 4), language)
    model = shaped(Blip2ForConditionalGeneration(config), attention).language_model
    text = 7
    formula = flops.blip2(config, 4, text, generated=2)
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
    encoded: list[Any] = []
    prompt, token = torch.randn(1, 6 + text, 40), torch.zeros(1, 1, dtype=torch.long)

    def step() -> None:
        model(encoder_outputs=encoded[0], decoder_input_ids=token, past_key_values=cache)

    def prefill() -> None:
        encoded.append(model.encoder(inputs_embeds=prompt))
        step()

    assert counted(prefill) == formula.prefill
    assert [counted(step) for _ in range(2)][1] == formula.decode


def test_an_unknown_language_model_of_blip2_is_refused() -> None:
    config = blip2_config((32, 128, 2, 4), SMALL_LLAMA)
    with pytest.raises(PruneProofError, match="language model is 'llama'"):
        flops.blip2(config, 4, 7)


@SHAPES
@ATTENTION
@pytest.mark.parametrize(("interval", "kept"), [(1, 9), (2, 4)])
def test_idefics(shape: tuple[int, int, int, int], attention: str, interval: int, kept: int) -> None:
    fields = vision_fields(shape)
    config = IdeficsConfig(
        vocab_size=97,
        additional_vocab_size=2,
        hidden_size=40,
        intermediate_size=72,
        num_hidden_layers=4,
        num_attention_heads=4,
        cross_layer_interval=interval,
        qk_layer_norms=True,
        use_resampler=True,
        vision_config=fields | {"embed_dim": fields.pop("hidden_size")},
        perceiver_config={
            "use_resampler": True,
            "resampler_n_latents": 5,
            "resampler_depth": 2,
            "resampler_n_heads": 3,
            "resampler_head_dim": 8,
        },
    )
    model = shaped(IdeficsForVisionText2Text(config), attention)
    text = 7
    formula = flops.idefics(config, kept, text, generated=2)

    assert counted(lambda: model.model.vision_model(pixels())) == formula.vision_tower
    resampler = model.model.perceiver_resampler
    assert counted(lambda: resampler(torch.randn(1, kept + 1, shape[0]))) == formula.connector
    latents, cache = torch.randn(1, 1, 5, shape[0]), DynamicCache()

    def forward(tokens: int) -> int:
        ids, sees = torch.ones(1, tokens, dtype=torch.long), torch.ones(1, tokens, 1, dtype=torch.long)
        return counted(
            lambda: model(
                input_ids=ids,
                perceiver_embeddings=latents,
                image_attention_mask=sees,
                past_key_values=cache,
                logits_to_keep=1,
            )
        )

    assert forward(text) == formula.prefill
    assert [forward(1) for _ in range(2)][1] == formula.decode


@pytest.mark.parametrize(("width", "layers", "context", "space", "ratio"), [(32, 2, 12, 24, 4.0), (48, 3, 20, 16, 2.5)])
def test_text_tower(width: int, layers: int, context: int, space: int, ratio: float) -> None:
    tower = TextTransformer(
        context_length=context, vocab_size=50, width=width, heads=4, layers=layers, mlp_ratio=ratio, output_dim=space
    ).eval()
    ids = torch.ones(1, context, dtype=torch.long)
    shape = {"context_length": context, "width": width, "layers": layers, "mlp_ratio": ratio}
    assert counted(lambda: tower(ids)) == flops.text_tower({"embed_dim": space, "text_cfg": shape})


@SHAPES
@pytest.mark.parametrize("space", [16, 40])
@pytest.mark.parametrize(("family", "lacking"), [("llava", 0), ("blip2", 0), ("blip2", 2)])
def test_atp_scoring_and_the_text_that_it_needs(
    family: str, lacking: int, shape: tuple[int, int, int, int], space: int
) -> None:
    width, inner, layers, heads = shape
    clip = {"embed_dim": space, "text_cfg": {"context_length": 12, "width": 32, "heads": 4, "layers": 2}}
    depth = layers + lacking
    vision = {"image_size": PIXELS, "patch_size": PATCH, "layers": depth, "width": width, "head_width": width // heads}
    pair: Any = open_clip.CLIP(space, vision | {"mlp_ratio": inner / width}, clip["text_cfg"])
    pair.eval().requires_grad_(False)
    ids, text = torch.ones(1, 12, dtype=torch.long), torch.randn(1, space)
    tower: Any = SimpleNamespace(embed=lambda questions: text)
    seen = (
        tuple(torch.randn(10, width) for _ in range(layers + 1)),
        torch.randn(9, width),
        torch.randn(1, width),
        (PIXELS, PIXELS),
    )
    space_of_clip = ClipSpace(pair.visual, tower, depth=layers)
    if family == "blip2":
        config: Any = blip2_config(shape, OPTConfig())
        layer: Any = split_layer(Blip2EncoderLayer(config.vision_config))
        image: ClipImage = Blip2Image(*seen, [layer] * layers, space_of_clip)
        expected = flops.blip2(config, 4, 7, clip=clip, lacking=lacking)
    else:
        config = LlavaConfig(vision_config=CLIPVisionConfig(**vision_fields(shape)), text_config=SMALL_LLAMA)
        image = ClipImage(*seen, [CLIPEncoderLayer(config.vision_config)] * layers, space_of_clip)
        expected = flops.llava(config, 4, 7, clip=clip)
    assert counted(lambda: (image.cls_attention(-1), text @ image.aligned(-1).T)) == expected.scoring
    assert counted(lambda: pair.encode_text(ids)) == expected.text_tower


@pytest.mark.parametrize(("method", "kept"), [({"method": "full"}, 16), ({"method": "atp", "keep": 0.25}, 4)])
def test_a_loaded_llava_costs_what_the_formula_says(
    llava: Llava,
    llava_root: Path,
    llava_settings: BackboneSettings,
    pictures: list[Image.Image],
    method: dict[str, Any],
    kept: int,
) -> None:
    stream = BytesIO()
    pictures[0].save(stream, "png")
    question = "is there a dog?"
    image = AskedImage("one", Held(stream.getvalue()), (Question(question, False),))
    chosen = pruning.load(MethodSettings.model_validate(method))
    rows = costs.count_flops(llava, llava_settings, chosen, image, "tiny", "it", 0)
    prompt = llava.prompt(question)
    clip = json.loads((llava_root / llava_settings.text_tower / "open_clip_config.json").read_text())["model_cfg"]
    text = len(prompt.before) + len(prompt.after)
    formula = flops.llava(llava.model.config, kept, text, clip=clip if chosen.per_question else None)
    assert {row.component: row.flops for row in rows} == asdict(formula)


def test_a_method_inside_the_language_model_costs_what_the_formula_says(
    llava: Llava, llava_settings: BackboneSettings, pictures: list[Image.Image]
) -> None:
    """Each layer has its own length, and one row of attention is computed apart, which prefill holds."""
    stream = BytesIO()
    pictures[0].save(stream, "png")
    question = "is there a dog?"
    image = AskedImage("one", Held(stream.getvalue()), (Question(question, False),))
    chosen = pruning.load(MethodSettings.model_validate({"method": "fastv", "keep": 0.25, "layer": 1}))
    rows = {row.component: row for row in costs.count_flops(llava, llava_settings, chosen, image, "tiny", "it", 0)}
    text, config = len(llava.prompt(question)), llava.model.config
    formula = flops.llava(config, 16, text, budget=chosen.budget(16, 2))
    scoring = flops.attention_rows(config.text_config, 1, 16 + text)
    found = {name: row.flops for name, row in rows.items()}
    assert found == asdict(formula) | {"prefill": formula.prefill + scoring}
    assert formula.prefill < flops.llava(config, 16, text).prefill
    assert rows["prefill"].visual_tokens == 16


@pytest.mark.parametrize(
    ("name", "fields", "image", "text"),
    [
        (
            "ViT-L-14-336",
            {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16},
            381.92,
            13.3,
        ),
        (
            "ViT-H-14",
            {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 16},
            334.59,
            47.09,
        ),
        (
            "EVA01-g-14",
            {"hidden_size": 1408, "intermediate_size": 6144, "num_hidden_layers": 40, "num_attention_heads": 16},
            534.06,
            13.3,
        ),
    ],
)
def test_published_towers_cost_what_open_clip_publishes(
    name: str, fields: dict[str, int], image: float, text: float
) -> None:
    """GFLOPs of open_clip `docs/model_profile.csv`, which fvcore counted; it leaves small parts out differently."""
    clip = open_clip.get_model_config(name)
    vision = CLIPVisionConfig(image_size=clip["vision_cfg"]["image_size"], patch_size=14, **fields)
    assert flops.vision_tower(vision) / 1e9 == pytest.approx(image, rel=0.01)
    assert flops.text_tower(clip) / 1e9 == pytest.approx(text, rel=0.01)
