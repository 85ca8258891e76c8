"""Labels of points: where a lone one goes by hand, and that none covers another one or a point."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pruneproof.reporting.placement import GAPS, Scene, line_end, place_labels, stack

FRAME = np.array([0.0, 0.0, 220.0, 190.0])
NONE = np.zeros((0, 2))


def scene(points: list[tuple[float, float]], curve: np.ndarray = NONE, size: tuple[float, float] = (18, 8)) -> Scene:
    return Scene(np.array(points, float).reshape(-1, 2), np.tile(size, (len(points), 1)), 3.0, FRAME, curve)


def test_a_lone_label_is_right_above_its_point() -> None:
    (centre,) = place_labels(scene([(100, 100)]))
    assert centre == pytest.approx([100, 100 + GAPS[0] + 3 + 4])


def test_at_the_top_of_the_frame_it_is_elsewhere() -> None:
    (centre,) = place_labels(scene([(100, 187)]))
    assert centre[1] + 4 <= 190


def test_a_curve_is_left_visible() -> None:
    """A line over the point: the label goes beside or below it."""
    (centre,) = place_labels(scene([(100, 100)], curve=np.array([[0.0, 110.0], [220.0, 110.0]])))
    assert abs(centre[1] - 110) >= 4


def test_error_bars_are_left_visible() -> None:
    """Upright bars of the point itself and of one beside it: the label goes to where none is."""
    bars = np.array([[99.5, 70.0, 100.5, 140.0], [109.5, 70.0, 110.5, 140.0]])
    (centre,) = place_labels(dataclasses.replace(scene([(100, 100)]), bars=bars))
    assert centre[0] + 9 <= 99.5


def test_a_line_leads_to_a_label_that_lies_away_and_only_to_it() -> None:
    one = scene([(100, 100)])
    assert line_end(one, 0, np.array([100.0, 110.0])) is None
    assert line_end(one, 0, np.array([100.0, 140.0])) == pytest.approx([100, 136])


def test_no_points_have_no_labels() -> None:
    assert place_labels(scene([])).shape == (0, 2)


COORDINATE = st.tuples(st.integers(5, 215), st.integers(5, 185))


@settings(max_examples=40, deadline=None)
@given(st.lists(COORDINATE, min_size=1, max_size=18))
@example([(110, 90)] * 18)
@example([(150 + i % 5, 130 + i % 7) for i in range(18)])
@example([(215, 185)] * 6)
def test_no_label_covers_another_one_or_a_point(points: list[tuple[float, float]]) -> None:
    placed = scene(points)
    centres = place_labels(placed)
    half = placed.sizes / 2
    assert (centres - half >= FRAME[:2]).all()
    assert (centres + half <= FRAME[2:]).all()
    apart = np.abs(centres[:, None] - centres) >= half[:, None] + half - 1e-9
    np.fill_diagonal(apart[..., 0], True)
    assert apart.any(2).all()
    assert (np.abs(centres[:, None] - placed.points) >= half[:, None] + 3 - 1e-9).any(2).all()
    assert np.array_equal(centres, place_labels(placed))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([5.0, 5.0, 9.0], [4.0, 6.0, 9.0]),
        ([9.0, 5.0, 5.0], [9.0, 4.0, 6.0]),
        ([0.0, 10.0], [1.0, 9.0]),
        ([9.5, 9.5], [7.0, 9.0]),
        ([5.0] * 7, [1 + 8 / 6 * place for place in range(7)]),
        ([], []),
    ],
)
def test_names_at_the_ends_of_lines(wanted: list[float], expected: list[float]) -> None:
    """By hand, two units high between 0 and 10: pushed apart, in any order, held at the ends, squeezed if too many."""
    assert stack(np.array(wanted), 2.0, 0.0, 10.0) == pytest.approx(expected)
