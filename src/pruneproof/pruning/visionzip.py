"""VisionZip (Yang et al., CVPR 2025): CLS, the patches that it attends to most, and the others merged into a few.

Source: dvlab-research/VisionZip `visionzip/clip_encoder.py::CLIPVisionTower_VisionZip.forward`, `visionzip/utils.py`,
`visionzip/main.py`. Not ported: the tuned variant, and the crops of LLaVA-NeXT, each of which the official code zips
alone. As there, CLS is one of the dominant tokens, and a contextual token is its centre *plus* the mean of the tokens
merged into it, so nearly twice as long as either. Where CLS cannot go on (several crops), one more patch does.

Published budgets (dominant, contextual) are (162, 30), (108, 20) and (54, 10) for 192, 128 and 64 of 576: 5 of 32 are
contextual. The official code divides by zero where there are none; here all other patches are then dropped. With all
tokens kept nothing is merged, and CLS does not go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from pruneproof.pruning import kept_count, top_k
from pruneproof.pruning._budgets import Keep
from pruneproof.pruning._choosing import plain
from pruneproof.pruning.protocol import Kept, Selects, Signals, Texts, VisualTokens
from pruneproof.settings import Frozen

if TYPE_CHECKING:
    from torch import Tensor


class Settings(Frozen):
    """Options of VisionZip."""

    keep: Keep
    """Tokens that are left, CLS and merged ones among them, as a share of all, in (0, 1], or a published budget."""
    contextual: Annotated[float, Field(ge=0.0, le=1.0)] = 5 / 32
    """Share of them that are contextual, rounded half up; CLS and dominant patches are the others."""
    layer: int = -2
    """Layer of the vision tower whose attention and keys count: the one whose output LLaVA's connector reads."""


def contextual_tokens(keys: Tensor, rest: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Merge all patches of a set into some of them.

    Every `R // number`-th becomes a centre, and each other one joins the centre with the most similar key.

    Args:
        keys: [N, W] of all patches.
        rest: int64 [R] the set, ascending.
        number: of centres, 1 to R.

    Returns:
        int64 [number] the centres, and [number, N] their weights: each has the mean of those that joined it added.
    """
    import torch

    step = len(rest) // number
    place = torch.arange(len(rest), device=rest.device)
    is_centre = (place % step == 0) & (place // step < number)
    centres, others = rest[is_centre], rest[~is_centre]
    unit = torch.nn.functional.normalize(keys, dim=-1)
    weights = plain(centres, len(keys))
    if len(others):
        joined = (unit[others] @ unit[centres].T).argmax(dim=-1)
        share = 1.0 / joined.bincount(minlength=number).float()
        weights[joined, others] = share[joined]
    return centres, weights


@dataclass(frozen=True, slots=True)
class VisionZip(Selects):
    """VisionZip without tuning."""

    settings: Settings
    title = "VisionZip"
    kind = "merging"
    door = "before_connector"

    @property
    def signals(self) -> Signals:
        """CLS attention and keys of one layer."""
        return Signals(cls_attention=(self.settings.layer,), keys=(self.settings.layer,))

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        """The share that is left, rounded, CLS among it."""
        return (kept_count(self.settings.keep, count),) * layers

    def select(self, tokens: VisualTokens, texts: Texts, rng: np.random.Generator) -> list[Kept]:
        """Dominant patches in the picture's order, then contextual tokens."""
        import torch

        left = kept_count(self.settings.keep, tokens.count)
        everything = torch.arange(tokens.count, device=tokens.features.device)
        if left == tokens.count:
            return [Kept(everything)]
        contextual = int(self.settings.contextual * left + 0.5)
        patches = max(left - contextual - len(tokens.cls), 0)
        dominant = top_k(tokens.cls_attention(self.settings.layer), patches)
        contextual = left - len(tokens.cls) - patches
        if contextual == 0:
            return [Kept(dominant, cls=True)]
        rest = everything[~torch.isin(everything, dominant)]
        centres, merged = contextual_tokens(tokens.keys(self.settings.layer).mean(dim=0), rest, contextual)
        weights = torch.cat([plain(dominant, tokens.count), merged])
        return [Kept(torch.cat([dominant, centres]), weights, cls=True)]


def build(settings: Settings) -> VisionZip:
    """VisionZip with its options."""
    return VisionZip(settings)
