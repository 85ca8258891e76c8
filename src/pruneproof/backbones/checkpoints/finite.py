"""Weights that are not numbers: a model with them loads without complaint, and then every answer is empty."""

from __future__ import annotations

import torch

from pruneproof.errors import PruneProofError


def require_finite(model: torch.nn.Module, what: str) -> None:
    """Refuse a model with NaN or infinite weights: one pass over them, without a copy.

    Args:
        model: loaded, on any device.
        what: is named in the message, such as `checkpoint 'data/backbones/mine'`.

    Raises:
        PruneProofError: naming the first such tensor.
    """
    named = {
        name: tensor for name, tensor in model.state_dict().items() if tensor.is_floating_point() and tensor.numel() > 0
    }
    # NaN propagates through both extremes, and an infinite value is one of them.
    finite = [torch.stack(tensor.aminmax()).isfinite().all() for tensor in named.values()]
    if not finite or bool(torch.stack(finite).all()):
        return
    name = next(name for name, good in zip(named, finite, strict=True) if not good)
    dtype = str(named[name].dtype).removeprefix("torch.")
    remedy = " (or set `dtype: bfloat16`, if float16 is too small for them)" if dtype == "float16" else ""
    raise PruneProofError(
        f"{what} holds NaN or infinite weights in {name!r}, read as {dtype}: restore its files{remedy}"
    )
