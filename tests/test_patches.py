from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pruneproof.errors import PruneProofError
from pruneproof.files import write_rows
from pruneproof.patches import read_patches, resized
from pruneproof.records import PATCHES

side = st.integers(1, 500)


def test_boxes_are_found_by_the_size_of_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "tiny.parquet"
    rows = [
        {"width": 8, "height": 4, "boxes": [0, 0, 4, 4, 4, 0, 8, 4]},
        {"width": 4, "height": 4, "boxes": [0, 0, 4, 4]},
    ]
    write_rows(path, rows, PATCHES)
    found = read_patches(path)
    assert found.most == 2
    assert found.of((8, 4)).tolist() == [[0, 0, 4, 4], [4, 0, 8, 4]]
    assert found.of((4, 4)).tolist() == [[0, 0, 4, 4]]
    with pytest.raises(PruneProofError, match=r"tiny\.parquet has no boxes for pictures of 4 x 8 pixels: delete it"):
        found.of((4, 8))


@pytest.mark.parametrize(
    ("content", "said"), [(None, "is missing"), (b"", "cannot be read"), (b"PAR1" * 9, "cannot be read")]
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "tiny.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PruneProofError, match=rf"tiny\.parquet {said}"):
        read_patches(path)


def test_boxes_follow_the_size_of_the_picture() -> None:
    """16 x 8 pixels at 6 x 4: three eighths across, half down."""
    picture, shown = np.array([[0, 0, 8, 4], [8, 2, 16, 8]], float), np.array([[0, 0, 3, 2], [3, 1, 6, 4]], float)
    assert resized(picture, (16, 8), (6, 4)).tolist() == shown.tolist()


@given(arrays(float, (3, 4), elements=st.floats(0, 500)), st.tuples(side, side), st.tuples(side, side))
def test_to_another_size_and_back(boxes: np.ndarray, size: tuple[int, int], shown: tuple[int, int]) -> None:
    np.testing.assert_allclose(resized(resized(boxes, size, shown), shown, size), boxes, atol=1e-9)
