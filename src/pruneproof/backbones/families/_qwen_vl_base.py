"""What Qwen2.5-VL and Qwen3-VL share: pictures of any size, a merger of 2 x 2 patches, and positions on three axes.

A visual token is what the language model reads, a group of 2 x 2 patches. So pruning before the merger drops whole
groups and spares the merger their work, and pruning after it drops any token. Positions are those that tokens have in
the whole prompt: a dropped token leaves a gap, and text goes on after the whole picture.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from PIL.Image import Image
from torch import Tensor
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

from pruneproof.backbones import Reduction, Shown
from pruneproof.backbones.checkpoints.loading import load_pretrained, read_config, read_processor
from pruneproof.backbones.checkpoints.weights import locate
from pruneproof.backbones.clip.patch_boxes import PatchBoxes, grid
from pruneproof.backbones.families._causal_base import CausalBase, Prompt
from pruneproof.backbones.families._qwen_vl_decoder import PlacedCache, PlacedDecoder
from pruneproof.backbones.families._qwen_vl_tower import USUAL, GroupedImage, Merger, Run, merged
from pruneproof.backbones.language.beginnings import WholePrompt
from pruneproof.backbones.language.generation import CausalModel
from pruneproof.errors import PruneProofError
from pruneproof.pruning.protocol import VisualTokens
from pruneproof.settings import BackboneSettings


class QwenVlBase(CausalBase):
    """A loaded model; implements `Backbone`. A family says how its tower runs (`run`) and which mergers it has."""

    clip = None
    usual = USUAL
    closed: Mapping[str, str]
    """`CLOSED_DOORS` of the family."""

    def __init__(self, model: Any, processor: Any, device: str) -> None:
        super().__init__(model, processor, PlacedDecoder(model.model.language_model), device)

    @abstractmethod
    def run(self, pixels: Tensor, shape: Tensor) -> Run:
        """One picture through the vision tower, up to the merger.

        Args:
            pixels: [P, C] patches as the processor lays them out, four of a group after one another.
            shape: int64 [1, 3] 1, and patches of the picture from top to bottom and from left to right.
        """

    @property
    @abstractmethod
    def mergers(self) -> Sequence[Merger]:
        """What makes the language model's tokens of the last block's groups, then of earlier blocks' (DeepStack)."""

    @property
    def deep_blocks(self) -> Sequence[int]:
        """The blocks whose groups pass the other mergers."""
        return ()

    @property
    def set_aside(self) -> int:  # type: ignore[override]
        """Columns for later layers, one token's width for each of the other mergers."""
        return len(self.deep_blocks) * self._width

    @property
    def _width(self) -> int:
        """Of a token in the language model."""
        return int(self.model.config.text_config.hidden_size)

    @torch.inference_mode()
    def encode(
        self,
        images: Sequence[Image],
        side: Callable[[int], int] | None = None,
        reduction: Reduction | None = None,
    ) -> list[VisualTokens]:
        """Run the vision tower on one picture at a time, because their sizes differ; see `Backbone.encode`."""
        if side is not None or reduction is not None:
            why = self.closed["tower" if side is None else "input"]
            raise PruneProofError(f"this model cannot be pruned before the end of its vision tower: {why}")
        return [self._encode(image) for image in images]

    def _encode(self, image: Image) -> GroupedImage:
        rows, columns = self.grid(image.size)  # which says in one line if it cannot be read
        read = self.processor.image_processor(images=[image], return_tensors="pt")
        run = self.run(read.pixel_values.to(self.device, self.model.dtype), read.image_grid_thw.to(self.device))
        states = [run.states[-1], *(run.states[block + 1] for block in self.deep_blocks)]
        features = torch.cat([run.grouped(state).flatten(1) for state in states], dim=-1)
        if rows * columns != len(features):
            raise PruneProofError(
                f"the processor of checkpoint {self.model.config.name_or_path!r} makes {len(features)} groups of a "
                f"picture of {image.width} x {image.height} pixels, not {rows} x {columns}: restore its files"
            )
        return GroupedImage(run, features, columns, image.size)

    def project(self, rows: Tensor) -> Tensor:
        """[K, W * (1 + L)] merged groups, the columns for later layers last."""
        return merged(rows, self.model.config.vision_config.hidden_size, self.mergers)

    def grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """Groups of a picture from top to bottom, and from left to right."""
        return groups(self.processor.image_processor, size)

    def laid_out(self, shown: Shown) -> tuple[Tensor, Tensor]:
        """The tokens without the columns for later layers."""
        return shown.rows[:, : self._width], torch.arange(len(shown.rows), device=shown.rows.device)

    def reading(self, before: Sequence[int], shown: Sequence[Shown]) -> CausalModel:
        """The language model with the positions of each row, and with what its first layers add."""
        placed = [self.placed(len(before), one) for one in shown]
        places = torch.stack([places for places, _ in placed])
        following = torch.tensor([after for _, after in placed], device=places.device)
        deep = tuple(torch.stack(parts) for parts in zip(*(self._deep(one) for one in shown), strict=True))
        return replace(self.language, cache=partial(PlacedCache, places, following, deep))

    def _deep(self, shown: Shown) -> tuple[Tensor, ...]:
        """[K, W] each: what the language model's first layers add to the tokens."""
        return tuple(shown.rows[:, self._width :].chunk(len(self.deep_blocks), dim=-1)) if self.deep_blocks else ()

    def placed(self, before: int, shown: Shown) -> tuple[Tensor, int]:
        """Positions up to the end of the image, and of the token after it, as in the whole prompt.

        A token that stands for no single group has the position of the picture's middle.

        Source: transformers `Qwen2_5_VLModel.get_rope_index`.

        Args:
            before: tokens before the image.
            shown: the image.

        Returns:
            int64 [before + K, 3] time, row and column; and the next number.
        """
        rows, columns = self.grid(shown.size)
        middle = rows // 2 * columns + columns // 2
        number = torch.where(shown.origin < 0, middle, shown.origin)
        visual = torch.stack([torch.zeros_like(number), number // columns, number % columns], dim=-1) + before
        text = torch.arange(before, device=visual.device)[:, None].expand(-1, 3)
        return torch.cat([text, visual]), before + max(rows, columns)

    def _whole(self, number: int, shown: Shown, prompt: Prompt) -> WholePrompt:
        whole = super()._whole(number, shown, prompt)
        places, following = self.placed(len(prompt.before), shown)
        after = following + torch.arange(whole.after, device=places.device)
        return replace(
            whole,
            places=torch.cat([places, after[:, None].expand(-1, 3)]),
            next_place=following + whole.after,
            deep=self._deep(shown),
        )


def groups(processor: Any, size: tuple[int, int]) -> tuple[int, int]:
    """Groups of a picture from top to bottom, and from left to right.

    Source: transformers `Qwen2VLImageProcessor.resize` and `patchify`.

    Args:
        processor: the image processor.
        size: width and height in pixels.
    """
    side, limits = processor.patch_size * processor.merge_size, processor.size
    try:
        down, across = smart_resize(size[1], size[0], side, limits.shortest_edge, limits.longest_edge)
    except ValueError as error:
        raise PruneProofError(
            f"a picture of {size[0]} x {size[1]} pixels cannot be read ({error}): leave it out of the benchmark"
        ) from error
    return down // side, across // side


Family = TypeVar("Family", bound=QwenVlBase)


def load_qwen_vl(
    settings: BackboneSettings,
    root: Path,
    device: str,
    model_type: str,
    model_class: Any,
    family: Callable[[Any, Any, str], Family],
) -> Family:
    """Load a checkpoint; arguments as of `load_pretrained` and `backbones.load`.

    Raises:
        PruneProofError: as they do; and for a language model that sees a window only, or is too shallow for DeepStack.
    """
    model, processor = load_pretrained(
        settings, root, device, model_type, model_class, lambda model: [model.model.language_model]
    )
    _limit(settings, processor)
    backbone = family(model, processor, device)
    if "sliding_attention" in (getattr(model.config.text_config, "layer_types", None) or ()):
        raise PruneProofError(
            f"checkpoint {settings.checkpoint!r} has layers that see a sliding window (`use_sliding_window`): several "
            "questions cannot be read after one picture there; set it to false, as the published checkpoints have it"
        )
    if len(backbone.deep_blocks) >= backbone.layers:
        raise PruneProofError(
            f"checkpoint {settings.checkpoint!r} has {backbone.layers} layers in its language model, which must be "
            f"more than its {len(backbone.deep_blocks)} `deepstack_visual_indexes`: restore its config"
        )
    return backbone


def group_boxes(settings: BackboneSettings, root: Path, model_type: str) -> PatchBoxes:
    """Where the groups of a picture lie; arguments and errors as of `backbones.patch_boxes`.

    The whole picture is resized to a whole number of groups, so that these are its equal parts.
    """
    source = locate(settings, root)
    read_config(settings, source, model_type)
    processor = read_processor(settings, source)
    _limit(settings, processor)
    return lambda size: grid((0.0, 0.0, size[0], size[1]), *groups(processor.image_processor, size))


def _limit(settings: BackboneSettings, processor: Any) -> None:
    """Set the numbers of pixels between which pictures are resized, if the settings name them.

    Raises:
        PruneProofError: for an image processor that does not resize a picture by its number of pixels, or a most that
            is less than one group.
    """
    own = processor.image_processor
    if not own.do_resize or own.size.shortest_edge is None or own.size.longest_edge is None:
        raise PruneProofError(
            f"checkpoint {settings.checkpoint!r} has a {type(own).__name__} with do_resize {own.do_resize} and "
            f"{own.size}: it must resize pictures between a least and a most number of pixels; restore its "
            "preprocessor_config.json"
        )
    if settings.pixels is not None:
        least, most = settings.pixels
        if most < (side := own.patch_size * own.merge_size) ** 2:
            raise PruneProofError(
                f"`pixels` of checkpoint {settings.checkpoint!r} is [{least}, {most}], but its smallest picture is one "
                f"group of {side} x {side}, {side**2} pixels: give a larger number"
            )
        own.size = type(own.size)(shortest_edge=least, longest_edge=most)
