"""How many visual tokens a picture of some size has in the families that read pictures at a size of their own."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from pruneproof.backbones.checkpoints.loading import read_processor
from pruneproof.settings import BackboneSettings

QWEN, SIGLIP = ("qwen2_5_vl", "qwen3_vl"), ("llava_onevision", "smolvlm")
"""The families, by the kind of their vision tower."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One picture as such a family reads it."""

    crops: int
    """Squares that the vision tower reads; 1 where it reads the whole picture at once."""
    grids: tuple[tuple[int, int], ...]
    """Rows and columns of visual tokens, as of `VisualTokens.places`."""
    patches: int
    """That the vision tower reads, those of all crops."""
    parts: int
    """Patches that a token is made of."""
    projected: int
    """Tokens or patches that pass the connector if all tokens are kept."""
    around: int
    """Tokens of the prompt that stand between the visual ones."""

    @property
    def tokens(self) -> int:
        """All visual tokens."""
        return sum(rows * columns for rows, columns in self.grids)


def layout_of(
    backbone: BackboneSettings, source: str | None, config: Any, pixels: tuple[int, int] | None, size: tuple[int, int]
) -> Layout:
    """The layout of a picture.

    Args:
        backbone: its settings; its family is one of `QWEN` and `SIGLIP`.
        source: its folder or hub name, from which its processor can be read; None if it is not here.
        config: of the checkpoint.
        pixels: least and most pixels of a picture, where the checkpoint is not here.
        size: width and height of the picture.

    Raises:
        PruneProofError: if the processor cannot be read, or not read such a picture.
    """
    if backbone.family in QWEN:
        return _qwen(backbone, source, config, pixels, size)
    if backbone.family == "llava_onevision":
        return _onevision(config, size)
    return _smolvlm(backbone, str(source), config, size)


def _qwen(
    backbone: BackboneSettings, source: str | None, config: Any, pixels: tuple[int, int] | None, size: tuple[int, int]
) -> Layout:
    from pruneproof.backbones.families._qwen_vl_base import groups

    vision = config.vision_config
    limits = backbone.pixels or pixels
    if limits is None:
        own = read_processor(backbone, str(source)).image_processor.size
        limits = own.shortest_edge, own.longest_edge
    reading = SimpleNamespace(
        patch_size=vision.patch_size,
        merge_size=vision.spatial_merge_size,
        size=SimpleNamespace(shortest_edge=limits[0], longest_edge=limits[1]),
    )
    rows, columns = groups(reading, size)
    unit, count = vision.spatial_merge_size**2, rows * columns
    deep = len(getattr(vision, "deepstack_visual_indexes", ()))
    return Layout(1, ((rows, columns),), unit * count, unit * (1 + deep), count, 0)


def _onevision(config: Any, size: tuple[int, int]) -> Layout:
    from pruneproof.backbones.families._llava_onevision_layout import pack
    from pruneproof.backbones.families.llava_onevision import most_tiles

    vision = config.vision_config
    crop, side = vision.image_size, vision.image_size // vision.patch_size
    packing = pack(size, config.image_grid_pinpoints, crop, side, most_tiles(config), "cpu").packing
    height, width = best_grid(config, size)
    crops = 1 + height // crop * (width // crop)
    rows, columns = (packing.places[side**2 :, 1:].max(dim=0).values + 1).tolist()
    shown = len(set(packing.patches.flatten().tolist()))
    return Layout(crops, ((side, side), (rows, columns)), crops * side**2, packing.patches.shape[1], shown, rows)


def best_grid(config: Any, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width in pixels that a picture is brought to before it is cut into tiles."""
    from transformers.image_processing_utils import select_best_resolution

    select: Any = select_best_resolution
    found: tuple[int, int] = select((size[1], size[0]), config.image_grid_pinpoints)
    return found


def _smolvlm(backbone: BackboneSettings, source: str, config: Any, size: tuple[int, int]) -> Layout:
    from pruneproof.backbones.families._smolvlm_layout import splits
    from pruneproof.backbones.families.smolvlm import processor_of

    processor = processor_of(backbone, source).image_processor
    down, across = splits(processor, size)
    side = processor.max_image_size["longest_edge"] // config.vision_config.patch_size
    crops, own = 1 + down * across, side // config.scale_factor
    # Two tokens before each tile, one after each row of them, and three around the whole picture.
    around = 2 * down * across + down + 3
    return Layout(crops, ((own, own),) * crops, crops * side**2, config.scale_factor**2, crops * own**2, around)
