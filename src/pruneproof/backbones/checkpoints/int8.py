"""int8 weights of a language model: compression that is the same for every picture, the foil of pruning.

Weight-only and symmetric, with one scale for each output channel. A weight is held as whole numbers and multiplied out
in the model's own type whenever it is used, so memory shrinks and FLOPs do not. As in LLM.int8() the output head keeps
its type, and so does what is no linear layer: embeddings and norms. LLM.int8() also rounds activations, and keeps
outlier channels apart; weight-only int8, as of torchao's `Int8WeightOnlyConfig`, does neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from pruneproof.errors import PruneProofError

_LARGEST = 127


def quantised(weight: Tensor) -> tuple[Tensor, Tensor]:
    """The whole numbers q and scales s of each row by which a weight is nearest to q s; it differs by at most s / 2.

    Source: bitsandbytes `functional.py::int8_vectorwise_quant` (Dettmers et al., NeurIPS 2022, arXiv 2208.07339).

    Args:
        weight: [out, in] of any floating type.

    Returns:
        int8 [out, in] in -127 to 127, and float32 [out, 1]. The scale of a row with NaN or infinity is NaN or infinity.
    """
    exact = weight.float()
    scale = exact.abs().amax(dim=1, keepdim=True) / _LARGEST
    scale = scale.clamp_min(torch.finfo(torch.float32).tiny)  # a row of zeros
    return (exact / scale).round().clamp(-_LARGEST, _LARGEST).to(torch.int8), scale


class Int8Linear(nn.Module):
    """A linear layer whose weight is held in int8."""

    weight: Tensor
    """int8 [out, in]; called so because transformers' T5 asks for its type."""
    scale: Tensor
    """float32 [out, 1]."""

    def __init__(self, layer: nn.Linear) -> None:
        """Make one of a layer, which is left as it is."""
        super().__init__()
        weight, scale = quantised(layer.weight.detach())
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)
        self.bias = layer.bias

    def forward(self, state: Tensor) -> Tensor:
        """[..., out] of a state [..., in], in its type."""
        return nn.functional.linear(state, (self.weight * self.scale).to(state.dtype), self.bias)


def compress(parts: Iterable[nn.Module], head: Any, what: str) -> None:
    """Put an `Int8Linear` in the place of every `torch.nn.Linear` of some modules.

    Args:
        parts: what a language model consists of; changed in place.
        head: the output head, which is left as it is.
        what: is named in the message, such as `checkpoint 'data/backbones/mine'`.

    Raises:
        PruneProofError: if there is no such layer, so that nothing would be compressed.
    """
    found = [
        (parent, name, layer)
        for part in parts
        for parent in part.modules()
        for name, layer in parent.named_children()
        if type(layer) is nn.Linear and layer is not head
    ]
    if not found:
        raise PruneProofError(f"{what} has a language model without linear layers: leave out `language_weights: int8`")
    for parent, name, layer in found:
        setattr(parent, name, Int8Linear(layer))
