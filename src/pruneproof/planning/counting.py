"""Counting what a function does with torch: small operations, and FLOPs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from pruneproof.planning.amounts import Amount

_VIEWS = frozenset({"view", "_unsafe_view", "t", "transpose", "permute", "expand", "unsqueeze", "squeeze", "slice"})
"""Operations that compute nothing."""


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations that compute something."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func.overloadpacket.__name__ not in _VIEWS
        return func(*args, **(kwargs or {}))


def counted(work: Callable[[], object]) -> Amount:
    """FLOPs and small operations of some work, which is done."""
    flops, operations = FlopCounterMode(display=False), _Operations()
    with flops, operations:
        work()
    return Amount(flops=flops.get_total_flops(), operations=operations.count)
