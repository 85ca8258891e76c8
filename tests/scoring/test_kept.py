from __future__ import annotations

from io import BytesIO

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from pruneproof.errors import PruneProofError
from pruneproof.scoring import kept

bits = arrays(bool, (4, 9))


def png(pixels: np.ndarray) -> bytes:
    content = BytesIO()
    Image.fromarray(pixels).convert("1").save(content, "PNG")
    return content.getvalue()


@pytest.mark.parametrize(("tokens", "side"), [(256, 16), (576, 24), (1, 1), (32, None), (0, None)])
def test_grid_side(tokens: int, side: int | None) -> None:
    assert kept.grid_side(tokens) == side


@given(arrays(bool, (24, 24)))
def test_mask_coverage_is_the_mean_of_every_patch(pixels: np.ndarray) -> None:
    expected = pixels.reshape(4, 6, 4, 6).mean((1, 3))
    np.testing.assert_allclose(kept.mask_coverage(png(pixels), 4), expected, atol=1e-5)


def test_mask_of_a_wide_image_is_cropped_as_the_model_sees_it() -> None:
    pixels = np.zeros((8, 16), bool)
    pixels[:, :4] = True
    assert not kept.mask_coverage(png(pixels), 2).any()
    pixels[:4, 4:8] = True
    assert kept.mask_coverage(png(pixels), 2).tolist() == [[1, 0], [0, 0]]


@given(st.tuples(st.integers(0, 16), st.integers(0, 8), st.integers(0, 16), st.integers(0, 8)))
def test_box_and_mask_agree(corners: tuple[int, int, int, int]) -> None:
    x0, x1 = sorted(corners[::2])
    y0, y1 = sorted(corners[1::2])
    pixels = np.zeros((8, 16), bool)
    pixels[y0:y1, x0:x1] = True
    from_box = kept.box_coverage((x0, y0, x1, y1), 16, 8, 4)
    np.testing.assert_allclose(from_box, kept.mask_coverage(png(pixels), 4), atol=1e-5)


def test_mask_that_is_no_image_is_named() -> None:
    with pytest.raises(PruneProofError, match=r"objects\.parquet"):
        kept.mask_coverage(b"not a png", 4)


def test_patches_are_those_covered_by_a_tenth_or_the_best() -> None:
    assert kept.patches(np.array([[0.1, 0.09], [1.0, 0.0]])).tolist() == [True, False, True, False]
    assert kept.patches(np.array([[0.02, 0.03], [0.0, 0.0]])).tolist() == [False, True, False, False]
    assert not kept.patches(np.zeros((2, 2))).any()


def test_kept_bits_of_ragged_and_sliced_lists() -> None:
    lists = pa.array([[9], [0, 2], [], [3]], pa.list_(pa.int16())).slice(1)
    assert kept.kept_bits(lists, 4).astype(int).tolist() == [[1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize("index", [-1, 4])
def test_impossible_token_is_refused(index: int) -> None:
    with pytest.raises(PruneProofError, match="the baseline has 4 tokens"):
        kept.kept_bits(pa.array([[0, index]], pa.list_(pa.int16())), 4)


def test_share_kept_by_hand() -> None:
    target = np.array([[1, 1, 0], [0, 0, 0], [1, 1, 1]], bool)
    chosen = np.array([[0, 1, 1], [1, 1, 1], [0, 0, 0]], bool)
    np.testing.assert_array_equal(kept.share_kept(chosen, target), [0.5, np.nan, np.nan])


@given(bits, bits)
def test_jaccard_is_a_symmetric_share_that_is_one_only_for_equal_sets(one: np.ndarray, other: np.ndarray) -> None:
    found = kept.jaccard(one, other)
    known = np.isfinite(found)
    assert (known == (one | other).any(1)).all()
    assert ((found[known] >= 0) & (found[known] <= 1)).all()
    assert ((found[known] == 1) == (one == other).all(1)[known]).all()
    np.testing.assert_array_equal(found, kept.jaccard(other, one))


@given(bits, bits)
def test_keeping_more_never_keeps_a_smaller_share(some: np.ndarray, more: np.ndarray) -> None:
    target = np.ones((4, 9), bool)
    few, many = kept.share_kept(some, target), kept.share_kept(some | more, target)
    known = np.isfinite(few)
    assert (many[known] >= few[known]).all()
