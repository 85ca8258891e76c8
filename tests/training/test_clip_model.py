"""The CLIP pair: our pass through patches is open_clip's, and the converted tower's features equal it."""

from __future__ import annotations

import torch
from transformers import CLIPVisionConfig, CLIPVisionModel

from pruneproof.backbones.clip.layout import vision_tower_state
from pruneproof.training.clip_model import build_clip, hidden_states, open_clip_config, patchify, pool
from pruneproof.training.settings import TowerSettings

SETTINGS = TowerSettings(width=48, layers=3, head_width=16, embedding=24, text_width=32, text_layers=1)


def clip() -> torch.nn.Module:
    torch.manual_seed(1)
    return build_clip(open_clip_config(SETTINGS, vocabulary=50, pad_id=0, eos_id=2)).eval()


@torch.inference_mode()
def test_the_pass_through_patches_is_open_clips_own() -> None:
    model, pixels = clip(), torch.randn(2, 3, 224, 224)
    _, last = hidden_states(model.visual, patchify(pixels))
    torch.testing.assert_close(
        pool(model.visual, last), model.encode_image(pixels, normalize=True), atol=1e-5, rtol=1e-4
    )


@torch.inference_mode()
def test_the_converted_tower_gives_the_same_features() -> None:
    model, pixels = clip(), torch.randn(2, 3, 224, 224)
    config = CLIPVisionConfig(
        hidden_size=48,
        intermediate_size=192,
        num_hidden_layers=3,
        num_attention_heads=3,
        image_size=224,
        patch_size=14,
        hidden_act="gelu",
    )
    tower = CLIPVisionModel(config).eval()
    tower.load_state_dict(vision_tower_state(model.state_dict()))
    states = tower(pixels, output_hidden_states=True).hidden_states
    before, last = hidden_states(model.visual, patchify(pixels))
    torch.testing.assert_close(states[-2], before, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(states[-1], last, atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_windows_take_the_position_embeddings_of_their_places() -> None:
    model, pixels = clip(), torch.randn(1, 3, 224, 224)
    whole = patchify(pixels)
    everything, _ = hidden_states(model.visual, whole, torch.arange(256)[None])
    plain, _ = hidden_states(model.visual, whole)
    torch.testing.assert_close(everything, plain)
    places = torch.tensor([[17, 18, 33, 34]])
    here, _ = hidden_states(model.visual, whole[:, places[0]], places)
    moved, _ = hidden_states(model.visual, whole[:, places[0]], places + 1)
    assert not torch.allclose(here, moved, atol=1e-3)


def test_patches_are_cut_as_the_patch_convolution_sees_them() -> None:
    model, pixels = clip(), torch.randn(1, 3, 28, 42)
    convolved = torch.nn.functional.conv2d(pixels, model.visual.conv1.weight, stride=14).flatten(2).transpose(1, 2)
    ours = patchify(pixels) @ model.visual.conv1.weight.flatten(1).T
    torch.testing.assert_close(ours, convolved, atol=1e-5, rtol=1e-4)
