"""Where SmolVLM's visual tokens lie: blocks of patches of a picture's crops, with text between the crops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.models.smolvlm import image_processing_smolvlm

from pruneproof.backbones import Shown
from pruneproof.backbones.clip.patch_boxes import Boxes, Size, grid
from pruneproof.backbones.families._siglip import Packing


def splits(processor: Any, size: Size) -> tuple[int, int]:
    """Rows and columns of sub-images that a picture is cut into; zeros if it is not cut.

    Source: transformers `SmolVLMImageProcessor.resize`, `resize_for_vision_encoder` and `split_images`. Its own
    `get_number_of_image_patches` gives other numbers where the longest edge is not a multiple of a crop's side.

    Args:
        processor: an image processor.
        size: width and height of the picture in pixels.
    """
    stock: Any = image_processing_smolvlm
    if not processor.do_image_splitting:
        return 0, 0
    width, height = size
    crop = processor.max_image_size["longest_edge"]
    if processor.do_resize and processor.size.longest_edge:
        longest, most = processor.size.longest_edge, stock.MAX_IMAGE_SIZE
        height, width = stock._resize_output_size_rescale_to_max_len(height, width, max_len=longest)
        height, width = stock._resize_output_size_scale_below_upper_bound(height, width, max_len=most)
    elif processor.do_resize:
        height, width = processor.size.height, processor.size.width
    ratio = width / height
    if width >= height:
        across = -(-width // crop)
        down = -(-int(across * crop / ratio) // crop)
    else:
        down = -(-height // crop)
        across = -(-int(down * crop * ratio) // crop)
    return (0, 0) if down <= 1 and across <= 1 else (down, across)


@dataclass(frozen=True, slots=True)
class Sequence:
    """What stands in a prompt in the place of one picture: its visual tokens, and text around and between them."""

    text: Tensor
    """int64 [S] ids of the text."""
    places: Tensor
    """int64 [S] where it stands among all L tokens, ascending."""
    visual: Tensor
    """int64 [N] where the visual tokens do, ascending."""

    def laid_out(self, shown: Shown, text: Tensor) -> tuple[Tensor, Tensor]:
        """Shown tokens with all of the text, which names the crops and stays even if a crop keeps no token.

        A token that stands for no single one comes after the last visual token.

        Args:
            shown: kept tokens.
            text: [S, W] the text, embedded.

        Returns:
            As of `CausalBase.laid_out`.
        """
        own = torch.where(shown.origin < 0, 2 * self.visual[-1] + 1, 2 * self.visual[shown.origin.clamp(min=0)])
        order = torch.cat([2 * self.places, own]).argsort(stable=True)
        places = torch.empty_like(order)
        places[order] = torch.arange(len(order), device=order.device)
        return torch.cat([text, shown.rows])[order], places[len(text) :]


def cut(ids: list[int], image: int, device: str) -> Sequence:
    """A tokenised picture cut into text and visual tokens.

    Args:
        ids: what the processor writes for a picture, tokenised.
        image: id of the placeholder of a visual token.
        device: of the result.
    """
    all_ids = torch.tensor(ids, device=device)
    visual = all_ids == image
    places = (~visual).nonzero()[:, 0]
    return Sequence(all_ids[places], places, visual.nonzero()[:, 0])


def blocks(crops: int, side: int, scale: int, device: str) -> Packing:
    """The visual tokens of some crops: blocks of scale x scale patches, block by block, crop by crop.

    A crop is a grid of its own, because the language model reads one crop after the other.

    Source: transformers `SmolVLMConnector.pixel_shuffle`.

    Args:
        crops: their number.
        side: of a crop in patches, a multiple of `scale`.
        scale: side of a block in patches (`scale_factor`).
        device: of the result.
    """
    patches = torch.arange(crops * side**2, device=device)
    across = side // scale
    # [crop, row of blocks, row in the block, column of blocks, column in the block]
    cut = patches.view(crops, across, scale, across, scale).transpose(2, 3).reshape(-1, scale**2)
    number = torch.arange(len(cut), device=device)
    grids, place = number // across**2, number % across**2
    weights = torch.full(cut.shape, scale**-2, device=device)
    return Packing(cut, weights, torch.stack([grids, place // across, place % across], dim=-1))


def block_places(size: Size, down: int, across: int, crop: int, patch: int, scale: int) -> Boxes:
    """(N, 4) where the blocks of a picture's crops lie in it.

    The picture is stretched over its sub-images, and over the one crop that shows all of it. A crop whose side is not a
    whole number of patches ends in pixels that no patch reads.

    Args:
        size: of the picture.
        down: rows of sub-images, from `splits`.
        across: columns of them.
        crop: side of a crop in pixels.
        patch: side of a patch in pixels.
        scale: as of `blocks`.
    """
    width, height = size
    side = crop // patch
    read = side * patch / crop

    def places(left: float, top: float, wide: float, high: float) -> Boxes:
        return grid((left, top, left + wide * read, top + high * read), side // scale, side // scale)

    tiles = [
        places(column * width / across, row * height / down, width / across, height / down)
        for row in range(down)
        for column in range(across)
    ]
    return np.concatenate([*tiles, places(0, 0, width, height)])
