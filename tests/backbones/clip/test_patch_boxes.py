"""Where patches lie: a picture that says of every pixel where it is, as the processors of small checkpoints cut it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from tests.backbones._blip2_checkpoint import blip2_settings, save_blip2
from tests.backbones._flamingo_checkpoint import save_flamingo
from tests.backbones._llava_next_checkpoint import save_llava_next
from tests.backbones._llava_onevision_checkpoint import save_llava_onevision
from tests.backbones._smolvlm_checkpoint import save_smolvlm
from tests.conftest import save_llava
from transformers import BlipImageProcessor, CLIPImageProcessor, LlavaImageProcessor

from pruneproof import backbones
from pruneproof.backbones.clip import patch_boxes
from pruneproof.backbones.clip.patch_boxes import grid, inside, seen
from pruneproof.backbones.families._siglip import SiglipImage
from pruneproof.errors import PruneProofError
from pruneproof.method_checks import declared
from pruneproof.settings import BackboneSettings

Floats = NDArray[np.float64]

SIZES = {"square": (80, 80), "wide": (150, 50), "tall": (53, 151), "narrow": (61, 201), "small": (37, 29)}
FAMILIES: dict[str, Callable[[Path], None]] = {
    "llava": save_llava,
    "llava_next": save_llava_next,
    "llava_onevision": save_llava_onevision,
    "smolvlm": save_smolvlm,
    "blip2": lambda folder: save_blip2(folder, "opt"),
    "flamingo": lambda folder: save_flamingo(folder),
}


def map_of(size: tuple[int, int]) -> Image.Image:
    """Red grows from left to right and green from top to bottom; blue is full, which padding is not."""
    width, height = size
    pixels = np.full((height, width, 3), 255.0)
    pixels[..., 0] = 255 * (np.arange(width) + 0.5) / width
    pixels[..., 1] = 255 * (np.arange(height)[:, None] + 0.5) / height
    return Image.fromarray(pixels.round().astype(np.uint8))


def patch_means(pixels: Any, patch: int) -> Floats:
    """[..., 3, P, P] squares to (N, 3), square by square and row by row."""
    squares = np.asarray(pixels, float).reshape(-1, 3, *pixels.shape[-2:])
    side = pixels.shape[-1] // patch
    cut = squares[..., : side * patch, : side * patch].reshape(-1, 3, side, patch, side, patch)
    return cut.mean((3, 5)).transpose(0, 2, 3, 1).reshape(-1, 3)


def check(boxes: Floats, means: Floats, size: tuple[int, int]) -> None:
    """Patches without padding show the middle of their boxes, and boxes without area nothing but padding."""
    assert boxes.shape == (len(means), 4)
    assert (boxes[:, :2] <= boxes[:, 2:]).all()
    full = means[:, 2] > 254
    assert full.sum() > 3
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2 / size
    off = np.abs(middle[full] - means[full, :2] / 255) * size
    assert off.max() < 0.75, "pixels of the picture"
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    assert (means[area == 0, 2] < 40).all()
    assert (means[area > 0.5 * area.max(), 2] > 100).all()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    for family, save in FAMILIES.items():
        save(folder / family)
    return folder


def settings_of(family: str) -> BackboneSettings:
    if family == "blip2":
        return blip2_settings("blip2").model_copy(update={"checkpoint": "blip2", "text_tower": "blip2/clip"})
    clip = None if declared(family).clipless else f"{family}/clip"
    return BackboneSettings(family=family, checkpoint=family, text_tower=clip)


@pytest.mark.parametrize("family", FAMILIES)
def test_patches_show_what_their_boxes_say(root: Path, family: str) -> None:
    settings = settings_of(family)
    backbone: Any = backbones.load(settings, root, "cpu")
    boxes = backbones.patch_boxes(settings, root)
    processor, vision = backbone.processor.image_processor, backbone.model.config.vision_config
    mean, std = (np.reshape(values, (3, 1, 1)) for values in (processor.image_mean, processor.image_std))
    for size in SIZES.values():
        picture = map_of(size)
        means = patch_means(255 * (np.asarray(backbone.pixels([picture])) * std + mean), vision.patch_size)
        if family == "llava_next":
            means = means[backbone.layout(size).order]
        image = backbone.encode([picture])[0]
        if isinstance(image, SiglipImage):
            means = np.stack([image.packing.pooled(torch.from_numpy(column)) for column in means.T], axis=1)
        assert len(boxes(size)) == image.count
        check(boxes(size), means, size)


PLAIN: dict[str, Any] = {"do_rescale": False, "do_normalize": False, "resample": 3}
SQUARE = {"height": 56, "width": 56}
PROCESSORS: dict[str, Any] = {
    "shortest edge and crop": CLIPImageProcessor(size={"shortest_edge": 56}, crop_size=SQUARE, **PLAIN),
    "crop inside": CLIPImageProcessor(size={"shortest_edge": 64}, crop_size=SQUARE, **PLAIN),
    "crop beyond": CLIPImageProcessor(size={"shortest_edge": 40}, crop_size=SQUARE, **PLAIN),
    "stretched": BlipImageProcessor(size=SQUARE, **PLAIN),
    "padded to a square": LlavaImageProcessor(
        do_pad=True, size={"shortest_edge": 56}, crop_size=SQUARE, image_mean=[0, 0, 0], image_std=[1, 1, 1], **PLAIN
    ),
    "cropped alone": CLIPImageProcessor(do_resize=False, crop_size={"height": 112, "width": 112}, **PLAIN),
}


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("processor", PROCESSORS.values(), ids=PROCESSORS)
def test_what_a_processor_shows(processor: Any, size: tuple[int, int]) -> None:
    pixels = processor(images=[map_of(size)], return_tensors="pt").pixel_values
    side = pixels.shape[-1] // 7
    check(inside(grid(seen(processor, size), side, side), size), patch_means(pixels, 7), size)


def test_pixels_beyond_the_last_whole_patch_are_in_no_box(monkeypatch: pytest.MonkeyPatch) -> None:
    """EVA01-g's 224 pixels are 16 patches of 14; CLIP ViT-L-14 at 30 pixels would read 28 of them."""
    config = SimpleNamespace(vision_config=SimpleNamespace(image_size=30, patch_size=14))
    processor = CLIPImageProcessor(size={"shortest_edge": 30}, crop_size={"height": 30, "width": 30})
    monkeypatch.setattr(patch_boxes, "locate", lambda *_: "")
    monkeypatch.setattr(patch_boxes, "read_config", lambda *_: config)
    monkeypatch.setattr(patch_boxes, "read_processor", lambda *_: SimpleNamespace(image_processor=processor))
    boxes = patch_boxes.square_patches(settings_of("llava"), Path(), "llava")((60, 60))
    np.testing.assert_allclose(boxes, [[0, 0, 28, 28], [28, 0, 56, 28], [0, 28, 28, 56], [28, 28, 56, 56]])


def test_a_sliver_left_by_rounding_shows_nothing() -> None:
    boxes = np.array([[-5, 0, 1e-15, 5], [5, 4.9999999, 9, 8], [4, 0, 9, 5]])
    assert inside(boxes, (5, 5)).tolist() == [[0, 0, 0, 0], [5, 4.9999999, 5, 4.9999999], [4, 0, 5, 5]]


@pytest.mark.parametrize(
    "unknown",
    [
        CLIPImageProcessor(size={"shortest_edge": 56, "longest_edge": 80}),
        CLIPImageProcessor(size={"longest_edge": 56}),
        BlipImageProcessor(size=SQUARE, do_pad=True),
    ],
)
def test_a_processor_that_would_be_misread_is_refused(unknown: Any) -> None:
    with pytest.raises(PruneProofError, match="the place of its patches is known for height and width"):
        patch_boxes._require_known(settings_of("llava"), unknown)


def test_a_checkpoint_of_another_family_is_refused(root: Path) -> None:
    with pytest.raises(PruneProofError, match="is a 'llava' model, not blip-2: change `family`"):
        backbones.patch_boxes(settings_of("llava").model_copy(update={"family": "blip2"}), root)
