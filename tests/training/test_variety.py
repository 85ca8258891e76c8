"""Varied pictures keep shape and range, hang on their seed alone, and are varied indeed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pruneproof.benchmarks.scenes.composition import compose, draw
from pruneproof.training import variety
from pruneproof.training._weather import clouds
from pruneproof.training.variety import VARIATIONS, Variation, as_pixels, vary

SCENE = draw(3, compose(3, "variety")).pixels
LIGHT = SCENE.astype(np.float32) / 255


@pytest.mark.parametrize("variation", VARIATIONS, ids=lambda variation: variation.title)
def test_each_variation_keeps_shape_and_range_and_changes_something(variation: Variation) -> None:
    before = LIGHT.copy()
    changed = 0.0
    for seed in range(6):
        light = variation.apply(LIGHT, np.random.default_rng(seed))
        assert light.shape == LIGHT.shape
        assert light.dtype == np.float32
        assert float(light.min()) >= 0
        assert float(light.max()) <= 1
        changed = max(changed, float(np.abs(light - LIGHT).mean()))
    assert changed > 0.01
    assert np.array_equal(LIGHT, before), "the picture given stays as it is"


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(30, 90), st.integers(30, 90))
def test_a_seed_gives_one_picture_of_any_size(seed: int, height: int, width: int) -> None:
    pixels = np.ascontiguousarray(SCENE[:height, :width])
    first, second = (vary(pixels, np.random.default_rng(seed)) for _ in range(2))
    assert first.shape == pixels.shape
    assert first.dtype == np.uint8
    assert np.array_equal(first, second)


def test_objects_stay_where_they_are() -> None:
    """The brightest spot of a dark picture is found again in the same patch, whatever lens and file did."""
    spot = np.full((224, 224, 3), 0.1, np.float32)
    spot[98:112, 126:140] = 1.0
    for title in ("defocus", "camera shake", "resampling", "JPEG", "gamma"):
        apply = next(variation.apply for variation in VARIATIONS if variation.title == title)
        for seed in range(5):
            grey = apply(spot, np.random.default_rng(seed)).mean(-1)
            patches = grey.reshape(16, 14, 16, 14).mean((1, 3))
            row, column = np.unravel_index(int(patches.argmax()), patches.shape)
            assert abs(int(row) - 7) <= 1, title
            assert abs(int(column) - 9) <= 1, title


def test_several_things_happen_in_the_order_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[int] = []

    def noted(number: int) -> Variation:
        def apply(light: variety.Light, rng: np.random.Generator) -> variety.Light:
            happened.append(number)
            return light

        return Variation(str(number), 1.0, "", apply)

    monkeypatch.setattr(variety, "VARIATIONS", tuple(noted(number) for number in range(6)))
    lengths = set()
    for seed in range(60):
        happened.clear()
        assert np.array_equal(vary(SCENE, np.random.default_rng(seed)), SCENE)
        assert happened == sorted(set(happened))
        lengths.add(len(happened))
    assert lengths == {1, 2, 3, 4}


def test_clouds_are_coarser_the_weaker_their_fine_levels_are() -> None:
    def steps(roughness: float) -> float:
        fields = [clouds(96, 96, roughness, np.random.default_rng(seed)) for seed in range(5)]
        return float(np.mean([np.abs(np.diff(field)).mean() / field.std() for field in fields]))

    assert steps(0.3) < steps(0.6) < steps(1.0)


def test_rounding_clips() -> None:
    assert as_pixels(np.array([[[-0.2, 0.5, 1.7]]], np.float32)).tolist() == [[[0, 128, 255]]]


def test_no_constant_or_function_of_the_study_is_used() -> None:
    for module in (variety, variety.weather):
        source = Path(module.__file__).read_text()
        assert "import imagecorruptions" not in source
        assert "pruneproof.perturbations" not in source
