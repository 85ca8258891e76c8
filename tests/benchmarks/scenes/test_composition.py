"""Scenes: deterministic, busy, and true to their own masks."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pruneproof.benchmarks.scenes.composition import PIXELS, compose, draw
from pruneproof.benchmarks.scenes.glyphs import GLYPHS
from pruneproof.benchmarks.scenes.vocabulary import BY_NAME, COLOURS, NOUN_NAMES, THEMES, surface_forms, with_article


def test_the_same_seed_and_id_give_the_same_pixels_in_any_order() -> None:
    first = [draw(3, compose(3, f"test/{i}")).pixels for i in (0, 1)]
    again = [draw(3, compose(3, f"test/{i}")).pixels for i in (1, 0)][::-1]
    for a, b in zip(first, again, strict=True):
        assert np.array_equal(a, b)
    assert not np.array_equal(first[0], first[1])


def test_splits_never_share_a_scene() -> None:
    contents = [compose(3, f"{split}/{i}").objects for split in ("train", "validation", "test") for i in range(40)]
    assert len(set(contents)) == len(contents)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_every_scene_keeps_the_promises_of_the_benchmark(number: int) -> None:
    scene = compose(1, f"test/{number}")
    assert 1 <= len(scene.objects) <= 12
    assert scene.theme in THEMES
    for placed in scene.objects:
        assert placed.noun in BY_NAME
        assert placed.colour in COLOURS
        assert placed.extent / 2 <= placed.x <= PIXELS - placed.extent / 2
        assert placed.extent / 2 <= placed.y <= PIXELS - placed.extent / 2


def test_masks_lie_at_their_objects_and_do_not_overlap() -> None:
    for number in range(6):
        scene = compose(1, f"test/{number}")
        drawing = draw(1, scene)
        assert drawing.pixels.shape == (PIXELS, PIXELS, 3)
        assert drawing.masks.sum(0).max() <= 1
        for placed, mask, (x0, y0, x1, y1) in zip(scene.objects, drawing.masks, drawing.boxes(), strict=True):
            assert x0 < placed.x < x1
            assert y0 < placed.y < y1
            assert mask[y0:y1, x0:x1].sum() == mask.sum()
            assert 0.1 * placed.extent**2 < mask.sum() < 1.3 * placed.extent**2


def test_scenes_are_busy_on_average() -> None:
    scenes = [compose(1, f"test/{i}") for i in range(200)]
    assert 7.5 < np.mean([len(scene.objects) for scene in scenes]) < 10.5


def test_most_objects_show_in_few_patches() -> None:
    """So that random pruning to a quarter loses one object in six or more: (3/4)^6 = 0.18."""
    scenes = [compose(1, f"test/{i}") for i in range(40)]
    patches = [
        int((mask.reshape(16, 14, 16, 14).mean((1, 3)) >= 0.12).sum()) for s in scenes for mask in draw(1, s).masks
    ]
    assert 3 <= np.median(patches) <= 6


def test_every_noun_has_a_shape_and_words_of_its_own() -> None:
    assert set(GLYPHS) == set(NOUN_NAMES)
    assert len(NOUN_NAMES) == 24
    assert len(COLOURS) == 7
    forms = [form for words in surface_forms().values() for form in words]
    assert len(forms) == len(set(forms))
    assert sum(bool(BY_NAME[name].synonyms) for name in NOUN_NAMES) >= 12


def test_articles() -> None:
    assert [with_article(noun) for noun in ("airplane", "car", "umbrella")] == ["an airplane", "a car", "an umbrella"]
