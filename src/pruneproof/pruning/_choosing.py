"""What several methods do alike with scores and weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


def descending(scores: Tensor) -> Tensor:
    """int64 [N] tokens by falling score [N]; among equal scores the first comes first."""
    return scores.sort(dim=-1, descending=True, stable=True).indices


def outlier_share(scores: Tensor) -> float:
    """Share of the scores [N] that lie above the third quartile by more than 1.5 times the distance between quartiles.

    Source: 42Shawn/LLaVA-PruMerge `clip_encoder.py::outlier_dectection`, which TRIM repeats.
    """
    values = scores.float().cpu().numpy()
    low, high = np.percentile(values, 25), np.percentile(values, 75)
    return int((values > high + 1.5 * (high - low)).sum()) / len(values)


def plain(index: Tensor, count: int) -> Tensor:
    """[K, N] weights of tokens that are kept as they are, out of `count`."""
    import torch

    return torch.nn.functional.one_hot(index, count).float()
