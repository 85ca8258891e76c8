"""The LLaVA-OneVision family: a SigLIP vision tower on several crops of a picture, a projector, and Qwen2.

The projector works patch by patch, but the patches are then packed: padding is cut off, and where a picture has more
than nine tiles' worth of them (`anyres_max_9`) the grid is made smaller by bilinear interpolation. A visual token is
what that leaves, because the language model reads nothing smaller and every budget counts it: a patch of a crop, or in
a large picture a mixture of the four around a place. Pruning acts on these tokens, of all crops together. Both doors
around the projector are open: what the projector receives of a token is its patch, or its four, and only those are
projected (`LlavaOnevision.projected`). Interpolation comes after the projector, which is not linear, so the four cannot
be mixed before it; merging methods at that door mix them all the same, since a merged token passes the projector once.

There is no CLS and no CLIP. Methods may look at the attention that a token receives from the patches of its crop, which
adds up to the same in every crop; a mixture has the mixture of its patches' attention.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor
from transformers import LlavaOnevisionForConditionalGeneration

from pruneproof.backbones import Reduction, Shown
from pruneproof.backbones.checkpoints.loading import load_pretrained, read_config
from pruneproof.backbones.checkpoints.weights import locate
from pruneproof.backbones.clip.patch_boxes import PatchBoxes
from pruneproof.backbones.families._causal_base import CausalBase
from pruneproof.backbones.families._llava_onevision_layout import Packed, pack, packed_places
from pruneproof.backbones.families._siglip import USUAL, SiglipImage
from pruneproof.errors import PruneProofError
from pruneproof.pruning.protocol import Kept, VisualTokens
from pruneproof.settings import BackboneSettings

MODEL_TYPE = "llava_onevision"
CLOSED_DOORS = {
    "input": "its pictures are cut into crops, whose number and padding depend on the picture's size",
    "tower": "its crops are packed patch by patch, so no crop may lose any inside the tower",
}
LACKING = {
    "cls_attention": "its vision tower, SigLIP's, has no CLS",
    "joined_attention": "its vision tower, SigLIP's, has no CLS",
    "aligned": "its vision tower, SigLIP's, is not CLIP's",
    "projected": "its vision tower, SigLIP's, is not CLIP's",
}


class LlavaOnevision(CausalBase):
    """A loaded LLaVA-OneVision; implements `Backbone`.

    The learned newline after each row of the grid is not a visual token: no method keeps or counts it, and it follows
    its row, as in LLaVA-NeXT.
    """

    clip = None
    lacking = LACKING
    usual = USUAL

    def __init__(self, model: Any, processor: Any, device: str) -> None:
        super().__init__(model, processor, model.model.language_model, device)
        self._packed: dict[tuple[int, int], Packed] = {}

    @torch.inference_mode()
    def encode(
        self,
        images: Sequence[Image],
        side: Callable[[int], int] | None = None,
        reduction: Reduction | None = None,
    ) -> list[VisualTokens]:
        """Run the vision tower on the crops of one picture at a time, because their numbers differ."""
        if side is not None or reduction is not None:
            raise PruneProofError(
                f"LLaVA-OneVision cannot be pruned before the end of its tower: {CLOSED_DOORS['tower']}"
            )
        return [self._encode(image) for image in images]

    def _encode(self, image: Image) -> SiglipImage:
        packing = self.packed(image.size).packing
        tower = self.model.model.vision_tower
        pixels = self.pixels([image])[0].to(self.device, self.model.dtype)
        states = tower(pixels, output_hidden_states=True).hidden_states
        read = states[self.model.config.vision_feature_layer]
        return SiglipImage(states, packing.gathered(read.flatten(0, 1)), image.size, packing, tower.encoder.layers)

    def pixels(self, images: Sequence[Image]) -> Tensor:
        """[B, C, 3, P, P] the crops of pictures as the vision tower receives them: the whole one, then its tiles."""
        pixels: Tensor = self.processor.image_processor(images=list(images), return_tensors="pt").pixel_values
        return pixels

    def project(self, rows: Tensor) -> Tensor:
        """[K, W] projected patches."""
        projected: Tensor = self.model.model.multi_modal_projector(rows)
        return projected

    def projected(self, tokens: VisualTokens, kept: Kept) -> Tensor:
        """[K, W] tokens from the patches that they are mixed from, each of which is projected once."""
        packing = self.packed(tokens.size).packing
        count, parts = packing.patches.shape
        if parts == 1:
            return self.project(kept.apply(tokens.features))
        each = tokens.features.view(count, parts, -1)
        if kept.weights is not None:
            return self.project(kept.apply(_mixed(each, packing.weights)))
        needed, which = torch.unique(packing.patches[kept.index], return_inverse=True)
        holder = torch.empty(int(packing.patches.max()) + 1, dtype=torch.long, device=needed.device)
        holder[packing.patches.flatten()] = torch.arange(count * parts, device=needed.device)
        rows = self.project(each.flatten(0, 1)[holder[needed]])
        return _mixed(rows[which], packing.weights[kept.index])

    def laid_out(self, shown: Shown) -> tuple[Tensor, Tensor]:
        """Shown tokens, with the newline after each row of which one is kept."""
        return self.packed(shown.size).lines.with_newlines(shown, self.model.model.image_newline)

    def packed(self, size: tuple[int, int]) -> Packed:
        """The packing of pictures of one size, remembered."""
        if size not in self._packed:
            config, vision = self.model.config, self.model.config.vision_config
            side = vision.image_size // vision.patch_size
            grids, most = config.image_grid_pinpoints, most_tiles(config)
            self._packed[size] = pack(size, grids, vision.image_size, side, most, self.device)
        return self._packed[size]


def load(settings: BackboneSettings, root: Path, device: str) -> LlavaOnevision:
    """Load a LLaVA-OneVision checkpoint from a local folder or the hub; see `backbones.load`."""
    model, processor = load_pretrained(
        settings,
        root,
        device,
        MODEL_TYPE,
        LlavaOnevisionForConditionalGeneration,
        lambda model: [model.model.language_model],
    )
    _check(settings, model.config, processor)
    return LlavaOnevision(model, processor, device)


def patch_boxes(settings: BackboneSettings, root: Path) -> PatchBoxes:
    """Where the tokens of all crops lie; see `backbones.patch_boxes`."""
    config = read_config(settings, locate(settings, root), MODEL_TYPE)
    vision, grids, most = config.vision_config, config.image_grid_pinpoints, most_tiles(config)
    return lambda size: packed_places(size, grids, vision.image_size, vision.patch_size, most)


def most_tiles(config: Any) -> int:
    """Tiles' worth of tokens that a larger grid is made smaller to."""
    return int(config.vision_aspect_ratio.removeprefix("anyres_max_"))


def _mixed(parts: Tensor, weights: Tensor) -> Tensor:
    """[N, D] of parts [N, F, D] and their shares [N, F], added up in float32 as PyTorch interpolates."""
    return (parts.float() * weights[..., None]).sum(dim=1).to(parts.dtype)


def _check(settings: BackboneSettings, config: Any, processor: Any) -> None:
    """Refuse features that are not the patches of one layer, and grids that model and processor pack differently."""
    what = f"checkpoint {settings.checkpoint!r}"
    layer, strategy = config.vision_feature_layer, config.vision_feature_select_strategy
    if not isinstance(layer, int) or strategy != "full":
        raise PruneProofError(
            f"{what} has vision_feature_layer {layer} and vision_feature_select_strategy {strategy!r}: "
            "only patches of one layer can be pruned, so it must have a number and 'full'"
        )
    crop = config.vision_config.image_size
    ours, theirs = (
        [list(grid) for grid in grids]
        for grids in (config.image_grid_pinpoints, processor.image_processor.image_grid_pinpoints)
    )
    if ours != theirs or any(length % crop for grid in ours for length in grid):
        raise PruneProofError(
            f"{what} has image_grid_pinpoints {ours} in its config and {theirs} in its image processor: "
            f"they must be the same multiples of {crop}; restore its files"
        )
    ratio = config.vision_aspect_ratio
    if not ratio.removeprefix("anyres_max_").isdigit():
        raise PruneProofError(f"{what} has vision_aspect_ratio {ratio!r}: it must be 'anyres_max_' and a number")
