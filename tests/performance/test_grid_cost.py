"""What the table of the large grid says of a benchmark's size."""

from __future__ import annotations

from performance.grid_cost import _sample


def row(wanted: int) -> dict[str, object]:
    return {
        "pictures": 100,
        "answering_hours": 8.0,
        "pictures_that_show_1_point": {"image": wanted},
        "hours_at_that_size": {"image": 8.0 * wanted / 100},
    }


def test_a_benchmark_that_is_large_enough_tells_how_many_pictures_show_one_point() -> None:
    assert _sample(row(50)) == ("50", "4")


def test_one_that_is_too_small_tells_what_all_its_pictures_show() -> None:
    """An interval is twice as wide on a quarter of the pictures."""
    assert _sample(row(400)) == ("400: its 100 show 2.0 points", "8")
