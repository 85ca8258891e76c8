from __future__ import annotations

import torch
from performance._products import Product, counted, gflop, seconds_alone

from pruneproof.backbones.packing import FEWEST, pack


def test_products_are_counted_as_the_layers_run_them() -> None:
    linear = torch.nn.Linear(4, 6)
    plain = torch.nn.Linear(4, 6, bias=False)

    @torch.inference_mode()
    def work() -> None:
        linear(torch.ones(2, 3, 4))
        plain(torch.ones(3, 4))
        torch.ones(5, 2, 3) @ torch.ones(5, 3, 7)

    found = counted(work)
    assert found == {
        Product((6, 4), (4, 6), turned=True): 1,
        Product((3, 4), (4, 6), turned=True): 1,
        Product((5, 2, 3), (5, 3, 7), turned=False): 1,
    }
    assert gflop(found) * 1e9 == 2 * (6 * 4 * 6 + 3 * 4 * 6 + 5 * 2 * 3 * 7)
    assert 0 < seconds_alone(found) < 1


def test_products_with_packed_weights_are_counted_as_such() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 6))
    assert pack(model) == 1
    with torch.inference_mode():
        found = counted(lambda: model(torch.ones(2, FEWEST, 4)))
    assert found == {Product((2 * FEWEST, 4), (4, 6), turned=True, packed=True): 1}
    assert gflop(found) * 1e9 == 2 * 2 * FEWEST * 4 * 6
    assert 0 < seconds_alone(found) < 1
