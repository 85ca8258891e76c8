"""Average pooling against torch's, where cells are alike, and against a loop over cells everywhere."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from tests.pruning._made_up import Picture, chosen, is_everything, picture, pictures, shares

from pruneproof.pruning._cells import cells
from pruneproof.pruning.average_pool import Settings, build


@pytest.mark.parametrize("side", [1, 2, 3, 6])
def test_square_cells_are_torchs_average_pooling(side: int) -> None:
    one = picture(6, 6, 3)
    (kept,) = chosen(build(Settings(keep=side**2 / 36)), one)
    square = one.features.T.reshape(1, -1, 6, 6)
    expected = torch.nn.functional.avg_pool2d(square, 6 // side)[0].flatten(1).T
    torch.testing.assert_close(kept.apply(one.features), expected)


@given(one=pictures, keep=shares)
def test_each_token_is_the_mean_of_its_cell(one: Picture, keep: float) -> None:
    (kept,) = chosen(build(Settings(keep=keep)), one)
    found = kept.apply(one.features)
    for row, (middle, members) in enumerate(cells(one.places, kept.count)):
        total = sum((one.features[token] for token in members), torch.zeros(12))
        torch.testing.assert_close(found[row], total / len(members), atol=1e-5, rtol=1e-5)
        assert int(kept.index[row]) == middle


@given(one=pictures)
def test_keeping_all_changes_nothing(one: Picture) -> None:
    assert is_everything(chosen(build(Settings(keep=1.0)), one), one)
