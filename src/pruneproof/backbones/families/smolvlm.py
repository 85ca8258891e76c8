"""The SmolVLM family: a SigLIP vision tower on several crops of a picture, pixel shuffle, and Llama.

SmolVLM2 is transformers' SmolVLM; the SmolVLM before it is Idefics3, which has the same parts under another name.

The connector joins each block of patches (`scale_factor` squared) into one long vector (pixel shuffle) and projects it.
A visual token is such a block, because nothing smaller reaches the language model: methods at the door before the
projection choose among whole blocks, and only kept blocks are projected. There is no CLS and no CLIP; the attention
that a block receives is the mean over its patches of what each receives from its crop.

A picture is cut into sub-images, which one crop that shows all of it follows. The text between them (`<row_1_col_1>`,
`<global-img>`, `<fake_token_around_image>`, line breaks) is the model's own: no method keeps or counts it, and it stays
even where a crop keeps no token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor
from transformers import (
    AutoImageProcessor,
    AutoTokenizer,
    Idefics3ForConditionalGeneration,
    SmolVLMForConditionalGeneration,
)
from transformers.models.smolvlm import processing_smolvlm
from transformers.processing_utils import ProcessorMixin

from pruneproof.backbones import Reduction, Shown
from pruneproof.backbones.checkpoints.loading import load_pretrained, named, read_config
from pruneproof.backbones.checkpoints.remote_code import NO_REMOTE_CODE
from pruneproof.backbones.checkpoints.weights import locate
from pruneproof.backbones.clip.patch_boxes import PatchBoxes
from pruneproof.backbones.families import _smolvlm_layout as layout
from pruneproof.backbones.families._causal_base import CausalBase
from pruneproof.backbones.families._siglip import USUAL, SiglipImage
from pruneproof.backbones.language.conversation import prompt_ids
from pruneproof.errors import PruneProofError
from pruneproof.pruning.protocol import VisualTokens
from pruneproof.settings import BackboneSettings

MODEL_TYPE = ("smolvlm", "idefics3")
CLASSES = dict(zip(MODEL_TYPE, (SmolVLMForConditionalGeneration, Idefics3ForConditionalGeneration), strict=True))
"""By `model_type`."""
CLOSED_DOORS = {
    "input": "its pictures are cut into crops, whose number depends on the picture's size",
    "tower": "its connector joins whole squares of patches, so no crop may lose any inside the tower",
}
LACKING = {
    "cls_attention": "its vision tower, SigLIP's, has no CLS",
    "joined_attention": "its vision tower, SigLIP's, has no CLS",
    "aligned": "its vision tower, SigLIP's, is not CLIP's",
    "projected": "its vision tower, SigLIP's, is not CLIP's",
}


@dataclass(frozen=True, slots=True)
class Processor:
    """A checkpoint's tokenizer and image processor; transformers' own class needs a package that only videos use."""

    tokenizer: Any
    image_processor: Any
    chat_template: str | None


class SmolVlm(CausalBase):
    """A loaded SmolVLM; implements `Backbone`."""

    clip = None
    lacking = LACKING
    usual = USUAL

    def __init__(self, model: Any, processor: Processor, device: str) -> None:
        super().__init__(model, processor, model.model.text_model, device)
        self._sequences: dict[tuple[int, int], layout.Sequence] = {}

    @torch.inference_mode()
    def encode(
        self,
        images: Sequence[Image],
        side: Callable[[int], int] | None = None,
        reduction: Reduction | None = None,
    ) -> list[VisualTokens]:
        """Run the vision tower on the crops of one picture at a time, because their numbers differ."""
        if side is not None or reduction is not None:
            raise PruneProofError(f"SmolVLM cannot be pruned before the end of its tower: {CLOSED_DOORS['tower']}")
        return [self._encode(image) for image in images]

    def _encode(self, image: Image) -> SiglipImage:
        pixels = self.pixels([image])[0].to(self.device, self.model.dtype)
        down, across = layout.splits(self.processor.image_processor, image.size)
        if len(pixels) != down * across + 1:
            raise PruneProofError(
                f"the image processor of checkpoint {self.model.config.name_or_path!r} makes {len(pixels)} crops of a "
                f"picture of {image.width} x {image.height} pixels, not {down * across + 1}: restore its files"
            )
        tower = self.model.model.vision_model
        found = tower(pixels, output_hidden_states=True)
        side = pixels.shape[-1] // tower.patch_size
        packing = layout.blocks(len(pixels), side, self.model.config.scale_factor, self.device)
        features = packing.gathered(found.last_hidden_state.flatten(0, 1))
        return SiglipImage(found.hidden_states, features, image.size, packing, tower.encoder.layers)

    def pixels(self, images: Sequence[Image]) -> Tensor:
        """[B, C, 3, P, P] the crops of pictures as the vision tower receives them: sub-images, then the whole one."""
        pixels: Tensor = self.processor.image_processor(
            images=[[image] for image in images], return_tensors="pt"
        ).pixel_values
        return pixels

    def project(self, rows: Tensor) -> Tensor:
        """[K, W] projected blocks."""
        projected: Tensor = self.model.model.connector.modality_projection(rows)
        return projected

    def laid_out(self, shown: Shown) -> tuple[Tensor, Tensor]:
        """Shown tokens, with the text around and between the crops."""
        sequence = self.sequence(layout.splits(self.processor.image_processor, shown.size))
        return sequence.laid_out(shown, self.language.embed(sequence.text))

    def sequence(self, splits: tuple[int, int]) -> layout.Sequence:
        """What stands in a prompt for pictures that are cut alike, remembered."""
        if splits not in self._sequences:
            self._sequences[splits] = layout.cut(self.ids(splits), self.model.config.image_token_id, self.device)
        return self._sequences[splits]

    def ids(self, splits: tuple[int, int]) -> list[int]:
        """The same, tokenised: every visual token is the placeholder."""
        ids: list[int] = self.processor.tokenizer(self.written(splits), add_special_tokens=False).input_ids
        return ids

    def written(self, splits: tuple[int, int]) -> str:
        """The same as the processor writes it."""
        stock: Any = processing_smolvlm
        config, tokenizer = self.model.config, self.processor.tokenizer
        side = self.processor.image_processor.max_image_size["longest_edge"] // config.vision_config.patch_size
        fake = getattr(tokenizer, "fake_image_token", "<fake_token_around_image>")
        whole = getattr(tokenizer, "global_image_token", "<global-img>")
        image = tokenizer.convert_ids_to_tokens(config.image_token_id)
        text: str = stock.get_image_prompt_string(*splits, (side // config.scale_factor) ** 2, fake, image, whole)
        return text


def load(settings: BackboneSettings, root: Path, device: str) -> SmolVlm:
    """Load a SmolVLM checkpoint from a local folder or the hub; see `backbones.load`."""
    kind = read_config(settings, locate(settings, root), *CLASSES).model_type
    model, processor = load_pretrained(
        settings,
        root,
        device,
        kind,
        CLASSES[kind],
        lambda model: [model.model.text_model],
        processor_of,
    )
    _check(settings, model.config, processor.image_processor)
    backbone = SmolVlm(model, processor, device)
    _check_prompts(settings, backbone)
    return backbone


def patch_boxes(settings: BackboneSettings, root: Path) -> PatchBoxes:
    """Where the blocks of all crops lie; see `backbones.patch_boxes`."""
    source = locate(settings, root)
    config = read_config(settings, source, *CLASSES)
    processor = processor_of(settings, source).image_processor
    crop, patch, scale = processor.max_image_size["longest_edge"], config.vision_config.patch_size, config.scale_factor
    return lambda size: layout.block_places(size, *layout.splits(processor, size), crop, patch, scale)


def processor_of(settings: BackboneSettings, source: str) -> Processor:
    """Tokenizer and image processor at `source`; as of `read_processor`."""
    parts: tuple[Any, Any] = AutoTokenizer, AutoImageProcessor
    with named(settings):
        tokenizer, images = (
            part.from_pretrained(source, revision=settings.revision, **NO_REMOTE_CODE) for part in parts
        )
        # Older checkpoints have their template in a file that only processors read.
        template = ProcessorMixin.get_processor_dict(source, revision=settings.revision)[0].get("chat_template")
    return Processor(tokenizer, images, settings.chat_template or template)


def _check(settings: BackboneSettings, config: Any, processor: Any) -> None:
    """Refuse crops that are not whole blocks, or not of one size."""
    crop, patch, scale = processor.max_image_size["longest_edge"], config.vision_config.patch_size, config.scale_factor
    if (crop // patch) % scale:
        raise PruneProofError(
            f"checkpoint {settings.checkpoint!r} has crops of {crop} pixels, which are {crop // patch} patches of "
            f"{patch} on a side, and scale_factor {scale}: its connector joins whole squares; restore its files"
        )


def _check_prompts(settings: BackboneSettings, backbone: SmolVlm) -> None:
    """Refuse a tokenizer that reads what stands for a picture otherwise in a prompt than by itself."""
    image = backbone.processor.tokenizer.convert_ids_to_tokens(backbone.model.config.image_token_id)
    text, prompt = backbone.prompt_text("?"), backbone.prompt("?")
    for splits in ((0, 0), (1, 2)):
        whole = prompt_ids(backbone.processor.tokenizer, text.replace(image, backbone.written(splits)))
        if whole != [*prompt.before, *backbone.ids(splits), *prompt.after]:
            raise PruneProofError(
                f"checkpoint {settings.checkpoint!r} has a tokenizer that reads the text around a picture otherwise in "
                "a prompt than by itself: restore its tokenizer files"
            )
