"""A grid of patches cut into any number of cells, for the controls that know nothing but places."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def cut(rows: int, columns: int, number: int) -> list[tuple[range, range]]:
    """Cut a grid into cells of as nearly the same shape as their number allows.

    The grid is cut into bands of rows, and each band into cells. A band has as many cells as any other, or one more.

    Args:
        rows: of the grid.
        columns: of the grid.
        number: of cells, 1 to `rows * columns`.

    Returns:
        Rows and columns of each cell, band by band; every place of the grid is in exactly one.
    """
    square = int((number * rows / columns) ** 0.5 + 0.5)
    bands = min(max(square, -(-number // columns)), rows, number)
    found = []
    for band in range(bands):
        down = range(band * rows // bands, (band + 1) * rows // bands)
        across = (band + 1) * number // bands - band * number // bands
        found += [(down, range(i * columns // across, (i + 1) * columns // across)) for i in range(across)]
    return found


def cells(places: Tensor, number: int) -> list[tuple[int, list[int]]]:
    """The tokens of each cell, if their grids are cut into cells.

    Several grids share the cells by their numbers of tokens; one that gets none loses all its tokens.

    Args:
        places: int64 [N, 3] grid, row and column of each token; each grid is a whole rectangle.
        number: of cells over all grids, 1 to N.

    Returns:
        For each cell the token in its middle and all tokens in it; cells in the order of their tokens.
    """
    found: list[tuple[int, list[int]]] = []
    done = 0
    by_grid: dict[int, dict[tuple[int, int], int]] = {}
    for token, (grid, row, column) in enumerate(places.tolist()):
        by_grid.setdefault(grid, {})[row, column] = token
    for tokens in by_grid.values():
        own = (done + len(tokens)) * number // len(places) - done * number // len(places)
        done += len(tokens)
        rows, columns = (sorted({place[axis] for place in tokens}) for axis in (0, 1))
        for down, across in cut(len(rows), len(columns), own) if own else []:
            members = [tokens[rows[i], columns[j]] for i in down for j in across]
            middle = tokens[rows[down[len(down) // 2]], columns[across[len(across) // 2]]]
            found.append((middle, members))
    return found
