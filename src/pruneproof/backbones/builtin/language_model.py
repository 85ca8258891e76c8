"""The built-in LLaVA: a CLIP vision tower converted from open_clip, a projector and a small Llama."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from pruneproof.backbones._clip_layout import vision_tower_state
from pruneproof.backbones.builtin.settings import TrainingSettings


def build_llava(
    settings: TrainingSettings, clip_state: dict[str, Tensor], vocabulary: int, ids: dict[str, int]
) -> LlavaForConditionalGeneration:
    """A LLaVA with the trained tower and a fresh projector and language model.

    Args:
        settings: shapes.
        clip_state: state of the open_clip model whose image half becomes the tower.
        vocabulary: tokens of the tokenizer.
        ids: token ids under the keys `pad`, `bos`, `eos`, `image`.
    """
    tower, language = settings.tower, settings.language
    vision = CLIPVisionConfig(
        hidden_size=tower.width,
        intermediate_size=4 * tower.width,
        num_hidden_layers=tower.layers,
        num_attention_heads=tower.width // tower.head_width,
        image_size=224,
        patch_size=14,
        hidden_act="gelu",
        projection_dim=tower.embedding,
    )
    text = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=language.width,
        intermediate_size=language.feed_forward,
        num_hidden_layers=language.layers,
        num_attention_heads=language.heads,
        num_key_value_heads=language.heads,
        max_position_embeddings=1024,
        pad_token_id=ids["pad"],
        bos_token_id=ids["bos"],
        eos_token_id=ids["eos"],
        tie_word_embeddings=False,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=ids["image"],
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        tie_word_embeddings=False,
    )
    model = LlavaForConditionalGeneration(config)
    model.model.vision_tower.load_state_dict(vision_tower_state(clip_state))
    model.generation_config.eos_token_id = ids["eos"]
    model.generation_config.pad_token_id = ids["pad"]
    model.generation_config.bos_token_id = ids["bos"]
    model.generation_config.do_sample = False
    _initialise_language(model, language.matched_heads)
    return model


def _initialise_language(model: LlavaForConditionalGeneration, matched_heads: int) -> None:
    """Weights of scale 1/sqrt(inputs), residual outputs smaller by sqrt(2 x layers).

    With the default of 0.02 a model this small stays at chance for long.
    """
    language = model.model.language_model
    layers = len(language.layers)
    with torch.no_grad():
        for name, module in [*language.named_modules(), ("lm_head", model.lm_head)]:
            if isinstance(module, nn.Linear):
                scale = module.in_features**-0.5
                if name.endswith(("o_proj", "down_proj")):
                    scale /= (2 * layers) ** 0.5
                module.weight.normal_(0.0, scale)
        language.embed_tokens.weight.normal_(0.0, 0.3)
        first = language.layers[0].self_attn
        rows = matched_heads * first.head_dim
        first.k_proj.weight[:rows] = first.q_proj.weight[:rows]


def whiten_projector(model: LlavaForConditionalGeneration, features: Tensor) -> None:
    """Initialise the projector's first layer so that every direction of the tower's features enters with equal size.

    A few directions hold most of the variance of a trained tower; through a random first layer the rest, such as the
    horizontal place, would reach the language model too faint to be found.

    Args:
        model: its projector is changed in place.
        features: [T, width] patch features of some images.
    """
    projector = model.model.multi_modal_projector
    mean = features.mean(0)
    covariance = torch.cov((features - mean).T)
    values, vectors = torch.linalg.eigh(covariance)
    scale = (values + 0.02 * values.mean()).rsqrt()
    width = projector.linear_1.out_features
    rotation = torch.linalg.qr(torch.randn(max(width, len(mean)), max(width, len(mean))))[0][:width, : len(mean)]
    weight = rotation @ torch.diag(scale) @ vectors.T
    with torch.no_grad():
        projector.linear_1.weight.copy_(weight)
        projector.linear_1.bias.copy_(-weight @ mean)
        projector.linear_2.weight.normal_(0.0, projector.linear_2.in_features**-0.5 * 0.6)
        projector.linear_2.bias.zero_()
