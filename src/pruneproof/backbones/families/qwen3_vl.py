"""The Qwen3-VL family: as Qwen2.5-VL without windows, and with DeepStack.

The groups that some blocks of the tower leave pass mergers of their own, and the language model's first layers add them
to the same tokens. They are pruned with these: `features` holds the groups of the last block and of those, `connect`
gives the tokens and what is set aside for the layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import Qwen3VLForConditionalGeneration
from transformers.vision_utils import get_vision_interpolation_indices_and_weights, get_vision_position_ids

from pruneproof.backbones.clip.patch_boxes import PatchBoxes
from pruneproof.backbones.families._qwen_vl_base import QwenVlBase, group_boxes, load_qwen_vl
from pruneproof.backbones.families._qwen_vl_tower import Merger, Run, run_blocks
from pruneproof.settings import BackboneSettings

MODEL_TYPE = "qwen3_vl"
CLOSED_DOORS = {
    "input": "its pictures are read at a size of their own each, not as one square",
    "tower": "what several blocks of its tower leave is added up token by token, so no patch may be lost between them",
}
RESIZES = True
LACKING = {
    "cls_attention": "its vision tower has no class token",
    "joined_attention": "its vision tower has no class token",
    "aligned": "its vision tower is not CLIP's",
    "projected": "its vision tower is not CLIP's",
    "renumbering": "its visual tokens are numbered by row and column",
}


class Qwen3Vl(QwenVlBase):
    """A loaded Qwen3-VL; implements `Backbone`."""

    closed = CLOSED_DOORS
    lacking = LACKING

    @property
    def mergers(self) -> Sequence[Merger]:
        """That of the last block, then those of DeepStack."""
        tower = self.model.model.visual
        mergers = dict(zip(tower.deepstack_visual_indexes, tower.deepstack_merger_list, strict=True))
        return [tower.merger, *(mergers[block] for block in self.deep_blocks)]

    @property
    def deep_blocks(self) -> Sequence[int]:
        """In the order of the tower, which is that in which the language model's layers read them."""
        return tuple(sorted(self.model.model.visual.deepstack_visual_indexes))

    def run(self, pixels: Tensor, shape: Tensor) -> Run:
        """As transformers `Qwen3VLVisionModel.forward`, without the mergers."""
        tower = self.model.model.visual
        taps, weights = get_vision_interpolation_indices_and_weights(
            shape,
            num_grid_per_side=tower.num_grid_per_side,
            mode=tower.interpolation_mode,
            align_corners=tower.interpolation_align_corners,
            spatial_merge_size=tower.spatial_merge_size,
        )
        state = tower.patch_embed(pixels)
        state = state + (tower.pos_embed(taps) * weights[:, :, None]).sum(1).to(state.dtype)
        cos, sin = tower.rotary_pos_emb(state, get_vision_position_ids(shape, tower.spatial_merge_size))
        whole = torch.tensor([0, len(state)], dtype=torch.int32, device=pixels.device)
        seen = [whole] * len(tower.blocks)
        states = tuple(run_blocks(tower.blocks, state, (cos, sin), seen))
        order = torch.arange(len(state) // tower.spatial_merge_unit, device=pixels.device)
        return Run(states, tower.blocks, tuple(own.tolist() for own in seen), (cos, sin), order)


def load(settings: BackboneSettings, root: Path, device: str) -> Qwen3Vl:
    """Load a Qwen3-VL checkpoint from a local folder or the hub; see `backbones.load`."""
    return load_qwen_vl(settings, root, device, MODEL_TYPE, Qwen3VLForConditionalGeneration, Qwen3Vl)


def patch_boxes(settings: BackboneSettings, root: Path) -> PatchBoxes:
    """Where the groups lie; see `backbones.patch_boxes`."""
    return group_boxes(settings, root, MODEL_TYPE)
