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
    """Initialise the projector's first layer: the tower's features evened out, and place made loud in them.

    A few directions hold most of the variance of a trained tower, and through a random first layer the rest would reach
    the language model too faint to be found. Whitening alone would make place faint again, for it has few directions.

    Args:
        model: its projector is changed in place.
        features: [N, 256, width] patch features of some images.
    """
    projector = model.model.multi_modal_projector
    flat = features.flatten(0, 1)
    mean = flat.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov((flat - mean).T))
    even = (values + 0.2 * values.mean()).rsqrt()[:, None] * vectors.T
    whitened = (features - mean) @ even.T
    louder = _louder_place(whitened)
    width = projector.linear_1.out_features
    largest = max(width, len(mean))
    rotation = torch.linalg.qr(torch.randn(largest, largest))[0][:width, : len(mean)]
    weight = rotation @ louder @ even
    scale = ((flat - mean) @ weight.T).std()
    with torch.no_grad():
        projector.linear_1.weight.copy_(weight / scale)
        projector.linear_1.bias.copy_(-weight @ mean / scale)
        projector.linear_2.weight.normal_(0.0, projector.linear_2.in_features**-0.5 * 0.6)
        projector.linear_2.bias.zero_()


_PLACE_SHARE = 0.24
"""Share of the projector's input variance that place explains at the start: x and y about half of it each."""


def _louder_place(features: Tensor) -> Tensor:
    """The map [width, width] after which place explains `_PLACE_SHARE` of the variance of [N, 256, width] features."""
    grid = features.unflatten(1, (16, 16))
    means = torch.cat([axis - axis.mean(0) for axis in (grid.mean((0, 1)), grid.mean((0, 2)))])
    basis = torch.linalg.svd(means, full_matrices=False)[2][:6]
    centred = features - features.mean((0, 1))
    total = centred.square().sum(-1).mean()
    inside = (centred @ basis.T).square().sum(-1).mean()
    explained = 2 * (means @ basis.T).square().sum(-1).mean()
    room = explained - _PLACE_SHARE * inside
    gain = (_PLACE_SHARE * (total - inside) / room).sqrt() if room > 0 else features.new_tensor(4.0)
    return torch.eye(features.shape[-1]) + (gain.clamp(1.0, 4.0) - 1) * basis.T @ basis
