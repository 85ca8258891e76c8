"""The LLaVA-NeXT family: LLaVA on several crops of a picture, the whole one and the tiles of its best resolution.

Pruning acts before the projector on the patches of all crops together, so one budget is shared over them: a method may
keep most of one tile and nothing of another. CLS looks at the patches of its own crop only, so attention adds up to the
same in every crop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor
from transformers import LlavaNextForConditionalGeneration

from pruneproof.backbones import Reduction, Shown
from pruneproof.backbones.checkpoints.loading import read_config
from pruneproof.backbones.checkpoints.weights import locate
from pruneproof.backbones.clip.patch_boxes import PatchBoxes
from pruneproof.backbones.clip.text_towers import ClipSpace
from pruneproof.backbones.clip.vision import ClipImage
from pruneproof.backbones.families._llava_base import LlavaBase, load_llava
from pruneproof.backbones.families._llava_next_layout import Layout, lay_out, patch_places
from pruneproof.errors import PruneProofError
from pruneproof.pruning.protocol import VisualTokens
from pruneproof.settings import BackboneSettings

MODEL_TYPE = "llava_next"
CLOSED_DOORS = {
    "input": "its pictures are cut into crops, whose number and padding depend on the picture's size",
    "tower": "its crops are laid out patch by patch, so no crop may lose any inside the tower",
}


@dataclass(frozen=True, slots=True)
class CroppedImage:
    """One picture as the vision tower leaves it, in several crops; implements `VisualTokens`."""

    crops: tuple[ClipImage, ...]
    """The whole picture, then its tiles, row by row."""
    order: Tensor
    """int64 [N] the patches that the language model can read, numbered crop by crop; see `Layout`."""
    features: Tensor
    """[N, D] what the connector receives of them."""
    size: tuple[int, int]
    """Width and height of the picture in pixels."""
    places: Tensor
    """int64 [N, 3]."""
    clip: ClipSpace

    @property
    def count(self) -> int:
        """Number of patches."""
        return len(self.order)

    @property
    def start(self) -> int:
        """All of them."""
        return self.count

    @property
    def origin(self) -> Tensor:
        """[N] each is itself."""
        return torch.arange(self.count, device=self.features.device)

    @property
    def cls(self) -> Tensor:
        """[0, D]: each crop has its own."""
        return self.features[:0]

    @property
    def tower_features(self) -> Tensor:
        """[N, D] what the connector receives."""
        return self.features

    def cls_attention(self, layer: int) -> Tensor:
        """[N] attention in a layer of each crop's own CLS, a share of that crop."""
        return torch.cat([crop.cls_attention(layer) for crop in self.crops])[self.order]

    def joined_attention(self, layer: int) -> Tensor:
        """[N] the same with all heads joined."""
        return torch.cat([crop.joined_attention(layer) for crop in self.crops])[self.order]

    def received_attention(self, layer: int) -> Tensor:
        """[N] attention received from the tokens of its own crop."""
        return torch.cat([crop.received_attention(layer) for crop in self.crops])[self.order]

    def keys(self, layer: int) -> Tensor:
        """[H, N, W] keys of a layer."""
        return torch.cat([crop.keys(layer) for crop in self.crops], dim=1)[:, self.order]

    def aligned(self, layer: int) -> Tensor:
        """[N, E] patches of a layer in CLIP space, of unit length."""
        return torch.nn.functional.normalize(self.projected(layer), dim=-1)

    def projected(self, layer: int) -> Tensor:
        """[N, E] patches of a layer in CLIP space."""
        at = range(len(self.crops[0].layers))[layer]
        states = torch.cat([crop.states[at + 1][1:] for crop in self.crops])[self.order]
        return self.clip.project(states, unit=False)


class LlavaNext(LlavaBase):
    """A loaded LLaVA-NeXT; implements `Backbone`.

    The learned newline after each row of the grid is not a visual token: no method keeps or counts it, and it follows
    its row (see `Layout.reading`).
    """

    def __init__(self, model: Any, processor: Any, clip: ClipSpace, device: str) -> None:
        super().__init__(model, processor, clip, device)
        self._layouts: dict[tuple[int, int], Layout] = {}

    @torch.inference_mode()
    def encode(
        self,
        images: Sequence[Image],
        side: Callable[[int], int] | None = None,
        reduction: Reduction | None = None,
    ) -> list[VisualTokens]:
        """Run the vision tower on the crops of one picture at a time, because their numbers differ."""
        if side is not None or reduction is not None:
            raise PruneProofError(f"LLaVA-NeXT cannot be pruned before the end of its tower: {CLOSED_DOORS['tower']}")
        return [self._encode(image) for image in images]

    def _encode(self, image: Image) -> CroppedImage:
        layout = self.layout(image.size)
        pixels = self.pixels([image])[0]
        crops = self.look(pixels, [image.size] * len(pixels))
        features = torch.cat([crop.features for crop in crops])[layout.order]
        places = layout.places(round(crops[0].count ** 0.5))
        return CroppedImage(tuple(crops), layout.order, features, image.size, places, self.clip)

    def laid_out(self, shown: Shown) -> tuple[Tensor, Tensor]:
        """Shown tokens, with the newline after each row of which one is kept."""
        return self.layout(shown.size).with_newlines(shown, self.model.model.image_newline)

    def layout(self, size: tuple[int, int]) -> Layout:
        """The layout of pictures of one size, remembered."""
        if size not in self._layouts:
            config, vision = self.model.config, self.model.config.vision_config
            side = vision.image_size // vision.patch_size
            self._layouts[size] = lay_out(size, config.image_grid_pinpoints, vision.image_size, side, self.device)
        return self._layouts[size]


def load(settings: BackboneSettings, root: Path, device: str) -> LlavaNext:
    """Load a LLaVA-NeXT checkpoint from a local folder or the hub; see `backbones.load`."""
    backbone = load_llava(settings, root, device, MODEL_TYPE, LlavaNextForConditionalGeneration, LlavaNext)
    _check_grids(settings, backbone)
    return backbone


def patch_boxes(settings: BackboneSettings, root: Path) -> PatchBoxes:
    """Where the patches of all crops lie; see `backbones.patch_boxes`."""
    config = read_config(settings, locate(settings, root), MODEL_TYPE)
    vision = config.vision_config
    return lambda size: patch_places(size, config.image_grid_pinpoints, vision.image_size, vision.patch_size)


def _check_grids(settings: BackboneSettings, backbone: LlavaNext) -> None:
    """Refuse grids that the model cannot lay out as the processor cuts them."""
    config = backbone.model.config
    crop = config.vision_config.image_size
    ours, theirs = (
        [list(grid) for grid in grids]
        for grids in (config.image_grid_pinpoints, backbone.processor.image_processor.image_grid_pinpoints)
    )
    if ours != theirs or any(length % crop for grid in ours for length in grid):
        raise PruneProofError(
            f"checkpoint {settings.checkpoint!r} has image_grid_pinpoints {ours} in its config and {theirs} in its "
            f"image processor: they must be the same multiples of {crop}; restore its files"
        )
