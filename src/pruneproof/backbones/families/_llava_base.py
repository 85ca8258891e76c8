"""What LLaVA and LLaVA-NeXT share: a CLIP vision tower, a projector and a causal language model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from PIL.Image import Image
from torch import Tensor

from pruneproof.backbones.checkpoints.loading import load_pretrained
from pruneproof.backbones.clip.pairing import check_pairing
from pruneproof.backbones.clip.text_towers import ClipSpace, load_clip_space
from pruneproof.backbones.clip.vision import USUAL, ClipImage
from pruneproof.backbones.families._causal_base import CausalBase
from pruneproof.errors import PruneProofError
from pruneproof.settings import BackboneSettings


class LlavaBase(CausalBase):
    """A loaded model; implements `Backbone`. A family says how a picture becomes `ClipImage`s (`encode`)."""

    usual = USUAL

    def __init__(self, model: Any, processor: Any, clip: ClipSpace, device: str) -> None:
        super().__init__(model, processor, model.model.language_model, device)
        self.clip = clip

    def project(self, rows: Tensor) -> Tensor:
        """[K, W] projected patches."""
        projected: Tensor = self.model.model.multi_modal_projector(rows)
        return projected

    def pixels(self, images: Sequence[Image]) -> Tensor:
        """[..., 3, P, P] as the vision tower receives pictures."""
        pixels: Tensor = self.processor.image_processor(images=list(images), return_tensors="pt").pixel_values
        return pixels

    def states(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Hidden states [B, 1 + N, D]: the input of the tower's first layer, then the output of every layer.

        Args:
            pixels: [B, 3, P, P] in the model's type.
        """
        found: tuple[Tensor, ...] = self.model.model.vision_tower(pixels, output_hidden_states=True).hidden_states
        return found

    def look(self, pixels: Tensor, sizes: Sequence[tuple[int, int]]) -> list[ClipImage]:
        """Run the vision tower on a batch of squares.

        Args:
            pixels: [B, 3, P, P].
            sizes: width and height of the picture that each is made of.
        """
        states = self.states(pixels.to(self.device, self.model.dtype))
        read = states[self.model.config.vision_feature_layer]
        layers = self.model.model.vision_tower.encoder.layers
        return [
            ClipImage(tuple(state[i] for state in states), read[i, 1:], read[i, :1], size, layers, self.clip)
            for i, size in enumerate(sizes)
        ]


Family = TypeVar("Family", bound=LlavaBase)


def load_llava(
    settings: BackboneSettings,
    root: Path,
    device: str,
    model_type: str,
    model_class: Any,
    family: Callable[[Any, Any, ClipSpace, str], Family],
) -> Family:
    """Load a checkpoint and its CLIP pair; arguments as of `load_pretrained` and `backbones.load`.

    Raises:
        PruneProofError: as they do, for a CLIP that is not the vision tower's, and for features that are not the
            patches of one layer.
    """
    model, processor = load_pretrained(
        settings, root, device, model_type, model_class, lambda model: [model.model.language_model]
    )
    layer, strategy = model.config.vision_feature_layer, model.config.vision_feature_select_strategy
    if not isinstance(layer, int) or strategy != "default":
        raise PruneProofError(
            f"checkpoint {settings.checkpoint!r} has vision_feature_layer {layer} and vision_feature_select_strategy "
            f"{strategy!r}: only patches of one layer can be pruned, so it must have a number and 'default'"
        )
    clip = load_clip_space(settings, root, device)
    backbone = family(model, processor, clip, device)
    check_pairing(settings, clip, backbone.pixels, lambda pixels: backbone.states(pixels)[-1])
    return backbone
