"""Weights of linear layers in the layout that a CPU's products read, made once instead of in every product.

A product of many rows copies the weight into blocks first. oneDNN takes a weight that lies in blocks already, as
`torch.compile` gives it one when a model is frozen. Rows come out the same but for the last bits of a float32.

Source: PyTorch `torch/_inductor/mkldnn_ir.py::LinearUnary`, `torch/_inductor/fx_passes/mkldnn_fusion.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import register_flop_formula

FEWEST = 64
"""Rows of a product below which hardly any small layer gains (`python -m performance.variants`)."""

LARGEST = 2**31
"""Bytes of linear layers, at most, that are packed. Packed weights lie beside the plain ones, which few rows need,
and the limit is a number so that no answer depends on how much memory is free."""


class PackedLinear(nn.Module):
    """A linear layer that is never trained, with its weight in blocks as well."""

    def __init__(self, layer: nn.Linear) -> None:
        """Make one of a float32 layer on a CPU, whose parameters it shares."""
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        self._packed = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach())

    def forward(self, state: Tensor) -> Tensor:
        """[..., out] of a state [..., in]; without a gradient."""
        if state.numel() < FEWEST * state.shape[-1]:
            return nn.functional.linear(state, self.weight, self.bias)
        return product(state, self._packed, self.bias)


def product(state: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    """[..., out] of a state [..., in] and a weight [out, in] in blocks."""
    found: Tensor = torch.ops.mkldnn._linear_pointwise(state, packed, bias, "none", [], "")
    return found


def _flops(state: Sequence[int], packed: Sequence[int], *_: Any, **__: Any) -> int:
    """Two for each multiplication, as PyTorch's counter has it for a plain layer."""
    return 2 * prod(state) * packed[0]


_BUILT_IN: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
"""Whether PyTorch has oneDNN: not on every Mac."""
if _BUILT_IN:
    register_flop_formula(torch.ops.mkldnn._linear_pointwise)(_flops)


def pack(model: nn.Module) -> int:
    """Put a `PackedLinear` in the place of every float32 `torch.nn.Linear` of a model on a CPU.

    Only speed depends on it, and the last bits. Nothing is done for larger models than `LARGEST`, other devices and
    types, and where PyTorch is built without oneDNN.

    Args:
        model: changed in place.

    Returns:
        How many layers were packed.
    """
    found = {
        name: layer
        for name, layer in model.named_modules(remove_duplicate=False)
        if type(layer) is nn.Linear and layer.weight.dtype == torch.float32 and layer.weight.device.type == "cpu"
    }
    size = sum(layer.weight.nbytes for layer in set(found.values()))
    if size > LARGEST or not _BUILT_IN:
        return 0
    packed = {layer: PackedLinear(layer) for layer in set(found.values())}
    for name, layer in found.items():
        model.set_submodule(name, packed[layer])
    return len(packed)
