"""The Qwen2.5-VL family: a vision tower that looks into windows in most layers, a 2 x 2 merger, and Qwen2.5."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import Qwen2_5_VLForConditionalGeneration
from transformers.vision_utils import get_vision_position_ids, get_vision_window_index

from pruneproof.backbones.clip.patch_boxes import PatchBoxes
from pruneproof.backbones.families._qwen_vl_base import QwenVlBase, group_boxes, load_qwen_vl
from pruneproof.backbones.families._qwen_vl_tower import Merger, Run, run_blocks
from pruneproof.errors import PruneProofError
from pruneproof.settings import BackboneSettings

MODEL_TYPE = "qwen2_5_vl"
CLOSED_DOORS = {
    "input": "its pictures are read at a size of their own each, not as one square",
    "tower": "its tower works in windows of the whole grid, so no picture may lose patches inside it",
}
RESIZES = True
LACKING = {
    "cls_attention": "its vision tower has no class token",
    "joined_attention": "its vision tower has no class token",
    "aligned": "its vision tower is not CLIP's",
    "projected": "its vision tower is not CLIP's",
    "renumbering": "its visual tokens are numbered by row and column",
}


class Qwen2_5Vl(QwenVlBase):
    """A loaded Qwen2.5-VL; implements `Backbone`."""

    closed = CLOSED_DOORS
    lacking = LACKING

    @property
    def mergers(self) -> Sequence[Merger]:
        """The one that there is."""
        return [self.model.model.visual.merger]

    def run(self, pixels: Tensor, shape: Tensor) -> Run:
        """As transformers `Qwen2_5_VisionTransformerPretrainedModel.forward`, without the merger."""
        tower = self.model.model.visual
        group = tower.spatial_merge_unit
        places = get_vision_position_ids(shape, tower.spatial_merge_size)
        windows, ends = get_vision_window_index(shape, tower.spatial_merge_size, tower.window_size, tower.patch_size)
        windows = windows.to(pixels.device)
        state = tower.patch_embed(pixels)

        def by_window(patches: Tensor) -> Tensor:
            return patches.view(len(windows), group, -1)[windows].flatten(0, 1)

        cos, sin = map(by_window, tower.rotary_pos_emb(state, places))
        whole = torch.tensor([0, len(state)], dtype=torch.int32, device=pixels.device)
        seen = [whole if block in tower.fullatt_block_indexes else ends for block in range(len(tower.blocks))]
        states = tuple(run_blocks(tower.blocks, by_window(state), (cos, sin), seen))
        return Run(states, tower.blocks, tuple(own.tolist() for own in seen), (cos, sin), windows.argsort())


def load(settings: BackboneSettings, root: Path, device: str) -> Qwen2_5Vl:
    """Load a Qwen2.5-VL checkpoint from a local folder or the hub; see `backbones.load`."""
    backbone = load_qwen_vl(settings, root, device, MODEL_TYPE, Qwen2_5_VLForConditionalGeneration, Qwen2_5Vl)
    vision = backbone.model.config.vision_config
    if vision.depth - 1 not in vision.fullatt_block_indexes:
        raise PruneProofError(
            f"checkpoint {settings.checkpoint!r} has fullatt_block_indexes {list(vision.fullatt_block_indexes)}: the "
            f"last layer of its vision tower, {vision.depth - 1}, must be one of them, because attention within a "
            "window says nothing of the whole picture; restore its config"
        )
    return backbone


def patch_boxes(settings: BackboneSettings, root: Path) -> PatchBoxes:
    """Where the groups lie; see `backbones.patch_boxes`."""
    return group_boxes(settings, root, MODEL_TYPE)
