"""The matrix products of some work: which there are, and how long they take alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pruneproof.backbones import packing

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Product:
    """[B, M, K] times [B, K, N], or without B."""

    left: Shape
    right: Shape
    turned: bool
    """Whether the right side lies in memory as [N, K], as weights do."""
    packed: bool = False
    """Whether it lies in blocks (`backbones.packing`)."""

    @property
    def flops(self) -> int:
        """Two for each multiplication."""
        rows = 1
        for length in self.left:
            rows *= length
        return 2 * rows * self.right[-1]


class Products(TorchDispatchMode):
    """Counts the products that run inside it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[Product] = Counter()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        sides = {
            torch.ops.aten.mm.default: args[:2],
            torch.ops.aten.addmm.default: args[1:3],
            torch.ops.aten.bmm.default: args[:2],
        }.get(function)
        if sides is not None:
            left, right = sides
            self.found[Product(tuple(left.shape), tuple(right.shape), right.stride(-1) != 1)] += 1
            return function(*args, **(kwargs or {}))
        if function is torch.ops.mkldnn._linear_pointwise.default:
            state, weight = args[:2]
            rows = state.numel() // state.shape[-1]
            self.found[Product((rows, weight.shape[1]), (weight.shape[1], weight.shape[0]), True, packed=True)] += 1
            return function(*args, **(kwargs or {}))
        with self:  # in inference mode a `linear` comes as it is, not as the product that it consists of
            result = function.decompose(*args, **(kwargs or {}))
        return function(*args, **(kwargs or {})) if result is NotImplemented else result


def counted(work: Callable[[], object]) -> Counter[Product]:
    """The products of some work, which runs once."""
    with Products() as products:
        work()
    return products.found


def gflop(products: Mapping[Product, int]) -> float:
    """10^9 operations of some products."""
    return sum(count * product.flops for product, count in products.items()) / 1e9


def seconds_alone(products: Mapping[Product, int]) -> float:
    """How long some products take one after another on numbers that lie ready; each shape is warmed up first."""
    return sum(count * _once(product, min(count, 5)) for product, count in products.items())


def peak_gflop_per_s(side: int = 1536, repeats: int = 5) -> float:
    """Of one large product in float32."""
    product = Product((side, side), (side, side), turned=False)
    return product.flops / 1e9 / _once(product, repeats)


def _once(product: Product, repeats: int) -> float:
    """Median seconds."""
    left = torch.randn(product.left)
    right = torch.randn(*product.right[:-2], product.right[-1], product.right[-2]).mT if product.turned else None
    right = torch.randn(product.right) if right is None else right
    packed = torch.ops.mkldnn._reorder_linear_weight(right.mT.contiguous()) if product.packed else None
    taken = []
    for turn in range(repeats + 1):
        begin = time.perf_counter()
        if packed is None:
            left @ right
        else:
            packing.product(left, packed, None)
        if turn:
            taken.append(time.perf_counter() - begin)
    return sorted(taken)[len(taken) // 2]
