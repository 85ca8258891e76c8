"""The LLaVA family: a CLIP vision tower, a projector, and a causal language model that reads projected patches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL.Image import Image
from transformers import LlavaForConditionalGeneration

from pruneproof.backbones import EncodedImage
from pruneproof.backbones._llava_base import LlavaBase, load_llava
from pruneproof.backbones._patch_boxes import PatchBoxes, square_patches
from pruneproof.settings import BackboneSettings


class Llava(LlavaBase):
    """A loaded LLaVA; implements `Backbone`."""

    @torch.inference_mode()
    def encode(self, images: Sequence[Image]) -> list[EncodedImage]:
        """Run the vision tower on a batch of images."""
        return [*self.look(self.pixels(images), [image.size for image in images])]


def load(settings: BackboneSettings, root: Path, device: str) -> Llava:
    """Load a LLaVA checkpoint from a local folder or the hub; see `backbones.load`."""
    return load_llava(settings, root, device, "llava", LlavaForConditionalGeneration, Llava)


def patch_boxes(settings: BackboneSettings, root: Path) -> PatchBoxes:
    """Where patches lie; see `backbones.patch_boxes`."""
    return square_patches(settings, root, "llava")
