"""The end of a CLIP's image half: the layers after a vision tower, the final norm and the projection into CLIP space.

A vision-language model may stop before CLIP does: published BLIP-2 has 39 of EVA-g's 40 layers, followed by a norm of
its own, so placing its patches in CLIP space takes CLIP's own last layer, norm and projection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from torch import Tensor

from pruneproof.errors import PruneProofError


@dataclass(frozen=True, slots=True)
class ImageEnd:
    """What CLIP's image half does after some of its layers, for every token as for CLS."""

    layers: tuple[Any, ...]
    """Remaining layers, each [1, T, D] to [1, T, D]."""
    norm: Any
    projection: Callable[[Tensor], Tensor]

    @property
    def width(self) -> int:
        """D of the tokens that it takes."""
        return int(self.norm.weight.shape[0])

    def __call__(self, tokens: Tensor, unit: bool = True) -> Tensor:
        """[T, D] tokens to [T, E] embeddings, of unit length unless told otherwise; where layers remain, T must be all
        tokens, CLS first."""
        state = tokens.to(self.norm.weight.dtype)[None]
        for layer in self.layers:
            state = layer(state)
        embedded = self.projection(self.norm(state[0]))
        return torch.nn.functional.normalize(embedded, dim=-1) if unit else embedded


def image_end(visual: Any, depth: int | None = None) -> ImageEnd:
    """The end of an open_clip image half.

    Positions are added before the first layer, so the remaining layers need none; a timm trunk with rotary
    positions (EVA-02) has no such end and is refused.

    Args:
        visual: `visual` of an open_clip model.
        depth: layers already passed; None for all.

    Raises:
        PruneProofError: if CLIP's image embedding is not made of its CLS token by norm and projection alone.
    """
    whole = _whole(visual)
    remaining = () if depth is None else whole.layers[depth:]
    if remaining and getattr(getattr(visual, "trunk", None), "rope", None) is not None:
        raise PruneProofError(
            f"text_tower has rotary positions, so its last {len(remaining)} layers cannot be run on the output of "
            "this vision tower: choose a `text_tower` whose image half is this tower"
        )
    return replace(whole, layers=remaining)


def _whole(visual: Any) -> ImageEnd:
    """All layers, norm and projection.

    Source: open_clip `transformer.py::VisionTransformer.forward`, `timm_model.py::TimmModel.forward`; timm
    `models/eva.py::Eva.forward_features`, `Eva.forward_head`.
    """
    if isinstance(visual, VisionTransformer) and visual.attn_pool is None and visual.pool_type == "tok":
        return ImageEnd(tuple(visual.transformer.resblocks), visual.ln_post, lambda state: state @ visual.proj)
    trunk: Any = getattr(visual, "trunk", None)
    if isinstance(visual, TimmModel) and getattr(trunk, "global_pool", "") == "token" and hasattr(trunk, "blocks"):
        return ImageEnd(tuple(trunk.blocks), trunk.norm, lambda state: visual.head(trunk.head(trunk.fc_norm(state))))
    raise PruneProofError(
        f"text_tower has a {type(trunk or visual).__name__} as image half, whose embedding does not come from CLS: "
        "choose a CLIP with a vision transformer and CLS pooling"
    )
