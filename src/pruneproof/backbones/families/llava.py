"""The LLaVA family: a CLIP vision tower, a projector, and a causal language model that reads projected patches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from PIL.Image import Image
from transformers import LlavaForConditionalGeneration

from pruneproof.backbones import Reduction
from pruneproof.backbones.clip.patch_boxes import PatchBoxes, square_patches
from pruneproof.backbones.clip.tower import Tower, read_reduced
from pruneproof.backbones.families._llava_base import LlavaBase, load_llava
from pruneproof.pruning.protocol import VisualTokens
from pruneproof.settings import BackboneSettings

MODEL_TYPE = "llava"


class Llava(LlavaBase):
    """A loaded LLaVA; implements `Backbone`."""

    @torch.inference_mode()
    def encode(
        self,
        images: Sequence[Image],
        side: Callable[[int], int] | None = None,
        reduction: Reduction | None = None,
    ) -> list[VisualTokens]:
        """Run the vision tower on a batch of images; see `Backbone.encode`."""
        pixels, sizes = self.pixels(images), [image.size for image in images]
        if side is None and reduction is None:
            return [*self.look(pixels, sizes)]
        return read_reduced(self.tower, pixels.to(self.device, self.model.dtype), sizes, side, reduction)

    @property
    def tower(self) -> Tower:
        """The vision tower up to the layer that the projector reads."""
        tower, config = self.model.model.vision_tower, self.model.config
        layers = tower.encoder.layers
        return Tower(
            lambda pixels: tower.pre_layrnorm(tower.embeddings(pixels, interpolate_pos_encoding=True)),
            layers[: range(len(layers) + 1)[config.vision_feature_layer]],
            lambda state: state,
            config.vision_config.patch_size,
        )


def load(settings: BackboneSettings, root: Path, device: str) -> Llava:
    """Load a LLaVA checkpoint from a local folder or the hub; see `backbones.load`."""
    return load_llava(settings, root, device, MODEL_TYPE, LlavaForConditionalGeneration, Llava)


def patch_boxes(settings: BackboneSettings, root: Path) -> PatchBoxes:
    """Where patches lie; see `backbones.patch_boxes`."""
    return square_patches(settings, root, MODEL_TYPE)
