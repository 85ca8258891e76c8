"""The built-in CLIP: an open_clip model whose image half becomes LLaVA's vision tower."""

from __future__ import annotations

from typing import Any

import torch
from open_clip import CLIP
from torch import Tensor, nn

from pruneproof.training.settings import TowerSettings

IMAGE_MEAN = (0.48145466, 0.4578275, 0.40821073)
IMAGE_STD = (0.26862954, 0.26130258, 0.27577711)


def open_clip_config(settings: TowerSettings, vocabulary: int, pad_id: int, eos_id: int) -> dict[str, Any]:
    """The content of `open_clip_config.json`, as open_clip reads it from a local folder."""
    return {
        "model_cfg": {
            "embed_dim": settings.embedding,
            "vision_cfg": {
                "image_size": 224,
                "patch_size": 14,
                "layers": settings.layers,
                "width": settings.width,
                "head_width": settings.head_width,
            },
            "text_cfg": {
                "context_length": settings.context_length,
                "vocab_size": vocabulary,
                "hf_tokenizer_name": "local",
                "width": settings.text_width,
                "heads": settings.text_width // settings.head_width,
                "layers": settings.text_layers,
                "pool_type": "eos",
                "pad_id": pad_id,
                "eos_id": eos_id,
            },
        },
        "preprocess_cfg": {"mean": list(IMAGE_MEAN), "std": list(IMAGE_STD)},
    }


PLACE_CHANNELS = 32
"""The first channels of a token, which hold place."""


def place_waves() -> Tensor:
    """Horizontal (first 16 channels) and vertical place of the 256 patches: [256, 32], values in [-1, 1]."""
    axis = torch.linspace(-1.0, 1.0, 16)
    y, x = (value.reshape(-1) for value in torch.meshgrid(axis, axis, indexing="ij"))
    waves = [(v, v, torch.sin(torch.pi * v), torch.cos(torch.pi * v)) * 4 for v in (x, y)]
    return torch.stack([wave for of_axis in waves for wave in of_axis], dim=1)


def place_loss(tokens: Tensor, amplitude: float, places: Tensor | None = None) -> Tensor:
    """Mean squared distance of the first channels of normalised tokens from the waves of each token's place.

    The aid that keeps place loud, so that x and y explain a good share of the tokens' variance each.

    Args:
        tokens: [B, P, width].
        amplitude: of the waves, in standard deviations of a token's channels.
        places: [B, P] raster indices of the patches; None for all 256 in order.
    """
    waves = amplitude * place_waves().to(tokens.device)
    normal = nn.functional.layer_norm(tokens, tokens.shape[-1:])[..., :PLACE_CHANNELS]
    return (normal - (waves if places is None else waves[places])).square().mean()


def new_clip(config: dict[str, Any]) -> CLIP:
    """An open_clip model with open_clip's own initial weights, from the content of `open_clip_config.json`."""
    model_cfg = config["model_cfg"]
    text_cfg = {key: value for key, value in model_cfg["text_cfg"].items() if key != "hf_tokenizer_name"}
    return CLIP(model_cfg["embed_dim"], model_cfg["vision_cfg"], text_cfg)


def build_clip(config: dict[str, Any]) -> CLIP:
    """A fresh open_clip model, with horizontal and vertical position made loud in the position embedding.

    A relation such as `left of` needs x and y to explain a good share of the features' variance; with open_clip's own
    initialisation they explain next to none, and a small language model never finds them.
    """
    model = new_clip(config)
    with torch.no_grad():
        model.visual.positional_embedding[1:, :PLACE_CHANNELS] = 1.2 * place_waves()
    return model


def patchify(pixels: Tensor) -> Tensor:
    """Cut images into patches: [B, 3, 14 h, 14 w] to [B, h w, 588], in the order of the convolution's weights."""
    batch, _, height, width = pixels.shape
    cut = pixels.reshape(batch, 3, height // 14, 14, width // 14, 14).permute(0, 2, 4, 1, 3, 5)
    return cut.reshape(batch, -1, 588)


def hidden_states(visual: Any, patches: Tensor, places: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Outputs of the last two layers for all patches or for some at their true places.

    Args:
        visual: open_clip's VisionTransformer.
        patches: [B, P, 588] normalised patches.
        places: [B, P] raster indices of the patches; None for all 256 in order.

    Returns:
        Two tensors [B, 1 + P, width]: output of the last layer but one (what LLaVA reads) and of the last (what
        CLIP pools).
    """
    weight = visual.conv1.weight.flatten(1)
    tokens = patches @ weight.T
    position = visual.positional_embedding
    tokens = tokens + (position[1:] if places is None else position[1:][places])
    first = (visual.class_embedding + position[0]).expand(len(tokens), 1, -1)
    state = visual.ln_pre(torch.cat([first, tokens], dim=1))
    blocks = list(visual.transformer.resblocks)
    for block in blocks[:-1]:
        state = block(state)
    return state, blocks[-1](state)


def pool(visual: Any, last: Tensor) -> Tensor:
    """CLIP's image embedding from the last layer's output: the CLS token, normalised and projected, unit length."""
    return nn.functional.normalize(visual.ln_post(last[:, 0]) @ visual.proj, dim=-1)
