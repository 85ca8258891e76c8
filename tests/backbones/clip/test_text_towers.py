"""CLIP space for both kinds of open_clip image half, the pairing check, and text towers of another pair."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tests.backbones._asking import relevance
from tests.backbones._blip2_checkpoint import LAYERS, SPACE, blip2_settings, save_blip2, save_eva_clip
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from pruneproof import backbones
from pruneproof.answering.views import Questions
from pruneproof.backbones.clip.pairing import LEAST_COSINE, check_pairing
from pruneproof.backbones.clip.space_end import image_end
from pruneproof.backbones.clip.text_towers import ClipSpace, load_clip_space, quick_gelu
from pruneproof.backbones.families.blip2 import Blip2
from pruneproof.backbones.families.llava import Llava
from pruneproof.errors import PruneProofError
from pruneproof.pruning.atp import Atp, Settings
from pruneproof.pruning.protocol import TextTowerName
from pruneproof.seeds import generator
from pruneproof.settings import BackboneSettings

QUESTIONS = ("is there a car in the image?", "is there a dog?")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, llava_root: Path) -> Path:
    """One LLaVA, BLIP-2 with and without CLIP's last layer, and towers that do not belong to them."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(llava_root / "data/backbones/tiny_llava", folder / "llava")
    save_blip2(folder / "short", "opt")
    save_blip2(folder / "whole", "opt", layers=LAYERS)
    save_eva_clip(folder / "stranger", seed=6)
    save_eva_clip(folder / "wider_space", space=SPACE + 8)
    return folder


@pytest.fixture(scope="module")
def eva(root: Path) -> Any:
    return open_clip.create_model(f"local-dir:{root / 'short/clip'}").eval()


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    return torch.randn(2, 3, 56, 56, generator=torch.Generator().manual_seed(1))


def llava_settings(**others: Any) -> BackboneSettings:
    return BackboneSettings.model_validate(
        {"family": "llava", "checkpoint": "llava", "text_tower": "llava/clip"} | others
    )


@pytest.fixture(scope="module")
def llava(root: Path) -> Llava:
    loaded = backbones.load(llava_settings(), root, "cpu")
    assert isinstance(loaded, Llava)
    return loaded


def blip2(root: Path, name: str, **others: Any) -> Blip2:
    loaded = backbones.load(blip2_settings(name, **others), root, "cpu")
    assert isinstance(loaded, Blip2)
    return loaded


def states_of(model: Any, pixels: Tensor) -> list[Tensor]:
    """[B, 1 + N, D] output of each layer of an open_clip image half."""
    output = model.visual.forward_intermediates(pixels, output_fmt="NLC", output_extra_tokens=True)
    pairs = zip(output["image_intermediates_prefix"], output["image_intermediates"], strict=True)
    return [torch.cat(pair, dim=1) for pair in pairs]


@pytest.mark.parametrize("half", ["open_clip", "timm"])
def test_after_any_layer_the_end_leads_to_clips_own_image_embedding(
    llava: Llava, eva: Any, pixels: Tensor, half: str
) -> None:
    model = {"open_clip": llava.clip.matched.model, "timm": eva}[half]
    with torch.inference_mode():
        expected = model.encode_image(pixels, normalize=True)
        states = states_of(model, pixels)
        assert len(states) == len(image_end(model.visual, 0).layers)
        for passed, state in enumerate(states, start=1):
            end = image_end(model.visual, passed)
            for i in range(2):
                torch.testing.assert_close(end(state[i])[0], expected[i], atol=1e-5, rtol=1e-4)
        patches = image_end(model.visual)(states[-1][0])[1:]
        torch.testing.assert_close(image_end(model.visual)(states[-1][0, 1:]), patches, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("name", "remaining"), [("short", 1), ("whole", 0)])
def test_the_tower_of_blip2_and_clips_remaining_layers_are_clips_image_half(
    root: Path, eva: Any, pixels: Tensor, name: str, remaining: int
) -> None:
    loaded = blip2(root, name)
    assert len(image_end(loaded.clip.visual, loaded.clip.depth).layers) == remaining
    with torch.inference_mode():
        state = loaded.model.vision_model(pixels, output_hidden_states=True).hidden_states[-1][0]
        found = loaded.clip.project(state)
        last = states_of(eva, pixels)[-1][0]
        expected = normalize(eva.visual.trunk.head(eva.visual.trunk.norm(last)), dim=-1)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(found[0], eva.encode_image(pixels[:1], normalize=True)[0], atol=1e-5, rtol=1e-4)
        if remaining:
            without = image_end(eva.visual)(state)
            assert float(cosine_similarity(without, expected).min()) < 0.9, "the missing layer would not be noticed"


@pytest.mark.parametrize("half", ["resnet", "average", "attention", "rope"])
def test_image_halves_whose_patches_have_no_place_in_clip_space_are_refused(half: str) -> None:
    text = {"context_length": 8, "vocab_size": 20, "width": 16, "heads": 2, "layers": 1}
    vision: dict[str, Any] = {"image_size": 32, "patch_size": 16, "width": 64, "head_width": 32, "layers": 1}
    vision |= {
        "resnet": {"layers": [1, 1, 1, 1]},
        "average": {"pool_type": "avg"},
        "attention": {"attentional_pool": True},
        "rope": {"timm_model_name": "eva02_tiny_patch14_224", "timm_pool": "token", "timm_proj": None},
    }[half]
    visual = open_clip.CLIP(16, vision, text).visual
    with pytest.raises(PruneProofError, match=r"text_tower .* choose a"):
        image_end(visual, 3)


def check(llava: Llava, clip: ClipSpace, settings: BackboneSettings, prepare: Any = None) -> None:
    """What `llava.load` has to ask."""
    tower = llava.model.model.vision_tower
    check_pairing(
        settings,
        clip,
        prepare or (lambda images: llava.processor.image_processor(images=images, return_tensors="pt").pixel_values),
        lambda pixels: tower(pixels, output_hidden_states=True).hidden_states[-1],
    )


def test_pairs_of_both_families_are_accepted(root: Path, llava: Llava) -> None:
    check(llava, llava.clip, llava_settings())
    for name in ("short", "whole"):
        blip2(root, name)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_stays_far_from_the_threshold_and_so_does_another_tower(root: Path, dtype: str) -> None:
    loaded = blip2(root, "short", dtype=dtype)
    noise = torch.randn(1, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        tower = loaded.model.vision_model
        state = tower(noise.to(tower.dtype), output_hidden_states=True).hidden_states[-1][0]
        ours = loaded.clip.project(state)
        cosines = [
            cosine_similarity(ours, image_end(model.visual)(states_of(model, noise)[-1][0]))
            for model in (loaded.clip.matched.model, open_clip.create_model(f"local-dir:{root / 'stranger'}").eval())
        ]
    assert float(cosines[0].min()) > 1 - (1 - LEAST_COSINE[dtype]) / 10
    assert float(cosines[1].max()) < 0.8


def refusal(ask: Callable[[], Any]) -> str:
    """The message, which must be one line."""
    with pytest.raises(PruneProofError) as caught:
        ask()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_other_weights_are_refused_unless_a_mismatch_is_allowed(root: Path) -> None:
    message = refusal(lambda: blip2(root, "short", text_tower="stranger"))
    assert message.startswith("text_tower 'stranger' does not match the vision tower of 'short': its weights differ")
    assert "set `allow_tower_mismatch: true`" in message
    allowed = blip2(root, "short", text_tower="stranger", allow_tower_mismatch=True)
    image = allowed.encode([Image.new("RGB", (60, 60))])[0]
    assert relevance(allowed, image, QUESTIONS).shape == (2, 16)


@pytest.mark.parametrize("block", [0, LAYERS - 2])
def test_one_changed_layer_is_noticed(root: Path, tmp_path: Path, block: int) -> None:
    shutil.copytree(root / "short", tmp_path / "short")
    weights = tmp_path / "short/clip/open_clip_model.safetensors"
    state = load_file(weights)
    name = f"visual.trunk.blocks.{block}.mlp.fc2.weight"
    state[name] = state[name].roll(1, dims=0)
    save_file(state, weights)
    assert "its weights differ" in refusal(lambda: blip2(tmp_path, "short"))


def test_another_width_is_refused_even_if_a_mismatch_is_allowed(root: Path, llava: Llava) -> None:
    other = llava_settings(allow_tower_mismatch=True)
    narrow = open_clip.CLIP(
        SPACE,
        {"image_size": 56, "patch_size": 14, "layers": 3, "width": 32, "head_width": 16},
        {"context_length": 8, "vocab_size": 20, "width": 16, "heads": 2, "layers": 1},
    ).visual
    assert "width is 32, not 48" in refusal(lambda: check(llava, ClipSpace(narrow, llava.clip.matched), other))


def preprocessing(**changed: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "open_clip_config.json").read_text())
        config["preprocess_cfg"] |= changed
        (folder / "open_clip_config.json").write_text(json.dumps(config))

    return change


def test_other_preprocessing_is_named(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "short", tmp_path / "short")
    preprocessing(mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5])(tmp_path / "short/clip")
    message = refusal(lambda: blip2(tmp_path, "short"))
    assert "its mean of pixels is [0.5, 0.5, 0.5], not [0.4815, 0.4578, 0.4082]" in message
    assert "its std of pixels is [0.5, 0.5, 0.5], not [0.2686, 0.2613, 0.2758]" in message


def test_other_pixels_and_patches_are_named(llava: Llava) -> None:
    def twice(images: list[Image.Image]) -> Tensor:
        own: Tensor = llava.processor.image_processor(images=images, return_tensors="pt").pixel_values
        return torch.nn.functional.interpolate(own, scale_factor=2)

    def pair(**vision: int) -> ClipSpace:
        shape = {"image_size": 56, "patch_size": 14, "layers": 3, "width": 48, "head_width": 16} | vision
        text = {"context_length": 8, "vocab_size": 20, "width": 16, "heads": 2, "layers": 1}
        visual = open_clip.CLIP(SPACE, shape, text).eval().visual
        visual.preprocess_cfg = llava.clip.visual.preprocess_cfg
        return ClipSpace(visual, llava.clip.matched)

    tower = llava.model.model.vision_tower

    def last_states(pixels: Tensor) -> Tensor:
        return tower(pixels[..., ::2, ::2], output_hidden_states=True).hidden_states[-1]

    settings = llava_settings()
    message = refusal(lambda: check_pairing(settings, llava.clip, twice, last_states))
    assert "its images have (56, 56) pixels per side, not 112" in message
    assert "it cuts an image into 64 patches, not 16" in refusal(lambda: check(llava, pair(patch_size=7), settings))


@pytest.mark.parametrize(
    ("name", "tag", "expected"),
    [
        ("ViT-L-14-336", "openai", True),
        ("ViT-H-14", "laion2b_s32b_b79k", False),
        ("EVA01-g-14", "laion400m_s11b_b41k", False),
        ("ViT-L-14-336", "no_such_tag", False),
        ("a/folder", None, False),
    ],
)
def test_published_weights_run_with_the_activation_they_were_trained_with(
    name: str, tag: str | None, expected: bool
) -> None:
    """open_clip only warns if they do not."""
    assert quick_gelu(name, tag) is expected


def test_a_control_text_tower_embeds_the_questions_of_methods_that_ask_for_it(root: Path) -> None:
    settings = blip2_settings("short", control_text_tower="stranger")
    clip = load_clip_space(settings, root, "cpu")
    stranger = open_clip.create_model(f"local-dir:{root / 'stranger'}").eval()
    assert clip.control is not None
    with torch.inference_mode():
        expected = stranger.encode_text(clip.control.tokenizer(list(QUESTIONS)), normalize=True)
    torch.testing.assert_close(clip.embed(QUESTIONS, "control"), expected)
    assert not torch.allclose(clip.embed(QUESTIONS), expected, atol=0.1)
    assert clip.control.model.visual is None, "the image half of the other pair only takes memory"

    backbone = blip2(root, "short", control_text_tower="stranger")
    image = backbone.encode([Image.effect_noise((60, 60), 90)])[0]
    by_hand = Atp(Settings(keep=0.25, alpha=1.0)), Atp(Settings(keep=0.25, alpha=1.0, text_tower="control"))
    towers: tuple[TextTowerName, ...] = ("matched", "control")
    assert tuple(method.signals.text_tower for method in by_hand) == towers
    kept = []
    for method, tower in zip(by_hand, towers, strict=True):
        kept.append(method.select(image, Questions(tuple(QUESTIONS), backbone, method.signals), generator(0)))
        best = relevance(backbone, image, QUESTIONS, tower).topk(4).indices.sort().values
        assert [one.index.tolist() for one in kept[-1]] == best.tolist()
    assert [one.key for one in kept[0]] != [one.key for one in kept[1]]


def test_a_control_text_tower_that_is_missing_or_of_another_dimension(root: Path) -> None:
    clip = load_clip_space(blip2_settings("short"), root, "cpu")
    assert "has no `control_text_tower`" in refusal(lambda: clip.embed(QUESTIONS, "control"))
    wider = blip2_settings("short", control_text_tower="wider_space")
    message = refusal(lambda: load_clip_space(wider, root, "cpu"))
    assert message == (
        "the embedding sizes of control_text_tower 'wider_space' (32) and text_tower 'short/clip' (24) "
        "differ: choose a control tower with 24"
    )
    unknown = blip2_settings("short", control_text_tower="ViT-Q-14")
    assert "control_text_tower 'ViT-Q-14' is neither a folder" in refusal(lambda: load_clip_space(unknown, root, "cpu"))
