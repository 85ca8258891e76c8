"""Cells of a grid: a partition of any grid into any number of cells of nearly the same shape."""

from __future__ import annotations

from itertools import groupby, product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.pruning._cells import cells, cut


@given(rows=st.integers(1, 24), columns=st.integers(1, 24), data=st.data())
def test_every_place_is_in_exactly_one_cell(rows: int, columns: int, data: st.DataObject) -> None:
    number = data.draw(st.integers(1, rows * columns))
    found = cut(rows, columns, number)
    assert len(found) == number
    places = [place for down, across in found for place in product(down, across)]
    assert sorted(places) == list(product(range(rows), range(columns)))


@given(rows=st.integers(1, 24), columns=st.integers(1, 24), data=st.data())
def test_bands_are_alike_and_so_are_the_cells_of_a_band(rows: int, columns: int, data: st.DataObject) -> None:
    found = cut(rows, columns, data.draw(st.integers(1, rows * columns)))
    bands = [[len(across) for _, across in band] for _, band in groupby(found, key=lambda cell: cell[0])]
    for numbers in [{len(down) for down, _ in found}, {len(band) for band in bands}, *map(set, bands)]:
        assert max(numbers) - min(numbers) <= 1


@pytest.mark.parametrize("number", [1, 4, 16, 64, 256])
def test_square_numbers_cut_a_square_into_squares(number: int) -> None:
    side = 16 // round(number**0.5)
    assert {(len(down), len(across)) for down, across in cut(16, 16, number)} == {(side, side)}


def test_several_grids_share_the_cells_by_their_size() -> None:
    # A grid of 2 x 2 and one of 3 x 4, whose rows and columns start at 5: 4 and 12 of 16 tokens, 2 and 6 of 8 cells.
    small = torch.cartesian_prod(torch.tensor([0]), torch.arange(2), torch.arange(2))
    large = torch.cartesian_prod(torch.tensor([1]), torch.arange(5, 8), torch.arange(5, 9))
    found = cells(torch.cat([small, large]), 8)
    assert [members for _, members in found[:2]] == [[0, 2], [1, 3]]
    assert len(found) == 8
    assert sorted(token for _, members in found for token in members) == list(range(16))
    assert all(middle in members for middle, members in found)
    assert [middle for middle, _ in found] == sorted(middle for middle, _ in found)
