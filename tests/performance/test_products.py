from __future__ import annotations

import torch
from performance._products import Product, counted, gflop, seconds_alone


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
