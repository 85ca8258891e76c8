"""PruMerge+ (Shang et al., ICCV 2025): outliers of CLS attention, a regular sample, and what is similar merged in.

Source: 42Shawn/LLaVA-PruMerge `llava/model/multimodal_encoder/clip_encoder.py` (`token_prune_merge_advanced_plus`,
`outlier_dectection`), the adaptive branch, which is its default; not ported: the branch for training, and checkpoints
tuned for the method. As there, attention and keys are those of the tower's *last* layer with all heads joined into one,
while the features are the connector's; weights are raw attention, which is not made to add up to one; and tokens go on
in the order of falling attention, then the sample, then the rest of the picture in one token.

Published tables compare PruMerge+ at fixed budgets, for which there is no official code. Here, with `keep`, one half is
taken by attention and the other is spaced evenly over the other patches, the two halves that the branch for training
has. Where attention has no outlier, the official code divides by zero; here its highest value counts as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from pruneproof.pruning import kept_count
from pruneproof.pruning._budgets import Keep
from pruneproof.pruning._choosing import descending, outlier_share, plain
from pruneproof.pruning.protocol import Kept, Selects, Signals, Texts, VisualTokens
from pruneproof.settings import Frozen

if TYPE_CHECKING:
    from torch import Tensor


class Settings(Frozen):
    """Options of PruMerge+."""

    keep: Keep | None = None
    """Tokens that are left as a share of all, in (0, 1], or a published budget, the one for the rest of the picture
    among them; without it, as the official code does, each picture has its own number, about a quarter."""
    neighbours: Annotated[int, Field(ge=1)] = 32
    """Patches that are merged into each kept one."""
    layer: int = -1
    """Layer of the vision tower whose attention and keys count."""


def outliers_and_sample(attention: Tensor) -> Tensor:
    """int64 [K] patches whose attention [N] is an outlier, in falling order, then every so many-th of all others.

    The steps of the sample are a third as long as those that would give as many patches as there are outliers; as in
    the official code it never reaches the last patch.
    """
    import torch

    count = len(attention)
    share = max(outlier_share(attention), 1 / count)
    important = descending(attention)[: int(count * share)]
    sample = torch.arange(0, count - 1, max(int(int(1 / share) / 3), 1), device=attention.device)
    return torch.cat([important, sample[~torch.isin(sample, important)]])


def halves(attention: Tensor, k: int) -> Tensor:
    """int64 [k] of patches: one half by attention [N], in falling order, the other spaced evenly over all others."""
    import torch

    spaced = k // 2
    important = descending(attention)[: k - spaced]
    everything = torch.arange(len(attention), device=attention.device)
    rest = everything[~torch.isin(everything, important)]
    middle = (2 * torch.arange(spaced, device=attention.device) + 1) * len(rest) // max(2 * spaced, 1)
    return torch.cat([important, rest[middle]])


def merged(index: Tensor, attention: Tensor, keys: Tensor, neighbours: int) -> Kept:
    """Add to each kept patch those with the most similar keys, and append all dropped ones as one token.

    Args:
        index: int64 [K] the kept patches.
        attention: [N] by which what is added is weighted.
        keys: [N, W].
        neighbours: patches, kept or dropped, that are added to each, or as many as there are.

    Returns:
        K + 1 tokens.
    """
    import torch

    unit = torch.nn.functional.normalize(keys, dim=-1)
    similarity = unit[index] @ unit.T
    itself = plain(index, len(keys))
    similarity[itself.bool()] = float("-inf")
    nearest = similarity.sort(dim=-1, descending=True, stable=True).indices[:, : min(neighbours, len(keys) - 1)]
    weights = itself + torch.zeros_like(itself).scatter_(1, nearest, attention[nearest])
    dropped = attention.clone()
    dropped[index] = 0.0
    return Kept(torch.cat([index, index.new_tensor([-1])]), torch.cat([weights, dropped[None]]))


@dataclass(frozen=True, slots=True)
class PruMergePlus(Selects):
    """PruMerge+, training-free."""

    settings: Settings
    title = "PruMerge+"
    kind = "merging"
    door = "before_connector"

    @property
    def signals(self) -> Signals:
        """Joined attention and keys of one layer."""
        return Signals(joined_attention=(self.settings.layer,), keys=(self.settings.layer,))

    def budget(self, count: int, layers: int) -> tuple[int, ...] | None:
        """The share that is left, rounded; unknown beforehand if each picture has its own."""
        return None if self.settings.keep is None else (kept_count(self.settings.keep, count),) * layers

    def select(self, tokens: VisualTokens, texts: Texts, rng: np.random.Generator) -> list[Kept]:
        """Kept patches with what is merged into them, and the rest."""
        import torch

        attention = tokens.joined_attention(self.settings.layer)
        if self.settings.keep is None:
            index = outliers_and_sample(attention)
        elif (k := kept_count(self.settings.keep, tokens.count)) < tokens.count:
            index = halves(attention, k - 1)
        else:
            return [Kept(torch.arange(tokens.count, device=attention.device))]
        keys = tokens.keys(self.settings.layer).transpose(0, 1).flatten(1)
        return [merged(index, attention, keys, self.settings.neighbours)]


def build(settings: Settings) -> PruMergePlus:
    """PruMerge+ with its options."""
    return PruMergePlus(settings)
