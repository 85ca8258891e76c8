"""Distillation of features: labels follow cut-outs, the loss means what it says and falls, a kill changes nothing."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pruneproof.benchmarks.scenes.composition import compose, draw
from pruneproof.training import tower_consistency
from pruneproof.training.clip_model import hidden_states, new_clip, open_clip_config
from pruneproof.training.features import tower_features
from pruneproof.training.scene_cache import SceneCache
from pruneproof.training.settings import TowerSettings, TrainingSettings
from pruneproof.training.tower_consistency import cut_out, distance, train_consistency, views, whitening
from pruneproof.training.tower_training import normalise

TOWER = TowerSettings(
    width=32, layers=2, head_width=16, embedding=16, text_width=32, text_layers=1, consistency_steps=24,
    consistency_batch=4, consistency_clean=1, consistency_cut=1, consistency_rate=2e-3,
)  # fmt: skip
SETTINGS = TrainingSettings(seed=5, tower=TOWER)


@pytest.fixture(scope="module")
def cache() -> SceneCache:
    scenes = tuple(compose(5, f"train/{index}") for index in range(6))
    pixels = np.stack([draw(5, scene).pixels for scene in scenes])
    return SceneCache("train", scenes, pixels, np.zeros((6, 256, 24), np.uint8), np.zeros((6, 256, 7), np.uint8))


@pytest.fixture(scope="module")
def teacher() -> Any:
    torch.manual_seed(0)
    return new_clip(open_clip_config(TOWER, 100, 0, 1)).visual.eval().requires_grad_(False)


def test_a_step_shows_clean_varied_and_cut_pictures(cache: SceneCache) -> None:
    shown = views(cache, SETTINGS, 3)
    again = views(cache, SETTINGS, 3)
    assert np.array_equal(shown.varied, again.varied)
    assert not np.array_equal(shown.varied, views(cache, SETTINGS, 4).varied)
    same = [np.array_equal(shown.varied[i], cache.pixels[scene]) for i, scene in enumerate(shown.scenes)]
    assert same == [True, False, False, False]
    assert len(shown.cut) == 1
    assert not np.array_equal(shown.cut[0], cache.pixels[shown.scenes[-1]])


@pytest.mark.parametrize("seed", range(8))
def test_a_cut_out_is_a_part_of_the_picture_made_larger(seed: int) -> None:
    """A picture whose colour says its place shows which part was taken, and that nothing was turned or mirrored."""
    ramp = np.tile(np.arange(224, dtype=np.uint8), (224, 1))
    part = cut_out(np.stack([ramp, ramp.T, ramp], axis=-1), np.random.default_rng(seed)).astype(float)
    assert part.shape == (224, 224, 3)
    for along, channel in ((part[112, :, 0], 0), (part[:, 112, 1], 1)):
        assert np.all(np.diff(along) >= 0), channel
        span = float(along[-1] - along[0])
        assert 0.74 * 224 - 2 <= span <= 224


def test_whitened_states_differ_alike_in_all_directions_but_the_faintest() -> None:
    torch.manual_seed(1)
    loud = torch.tensor([10.0, 1.0, 1.0, 0.01])
    states = torch.randn(5000, 4) * loud
    spread = (states @ whitening(states)).std(0)
    total = float(loud.square().mean())
    expected = (loud.square() / (loud.square() + 0.2 * total)).sqrt()
    assert torch.allclose(spread, expected, rtol=0.05)


def test_distance_is_the_mean_square_of_whitened_differences() -> None:
    student, teacher = torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[0.0, 0.0]]])
    assert float(distance(student, teacher, torch.diag(torch.tensor([1.0, 3.0])))) == pytest.approx((1 + 36) / 2)


def trained(teacher: Any, cache: SceneCache, folder: Path, features: Any) -> Any:
    student = deepcopy(teacher)
    train_consistency(teacher, student, cache, features, SETTINGS, folder)
    return student


def test_varied_pictures_come_nearer_and_a_killed_training_ends_alike(
    cache: SceneCache, teacher: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = tower_features(teacher, cache, tmp_path / "features", -2)
    whole = trained(teacher, cache, tmp_path / "whole", features)

    def far(student: Any) -> float:
        found = []
        for step in range(100, 106):
            shown = views(cache, SETTINGS, step)
            clean = np.concatenate([cache.pixels[shown.scenes[:-1]], shown.cut])
            with torch.no_grad():
                truth, seen = (
                    hidden_states(v, normalise(p))[1] for v, p in ((teacher, clean), (student, shown.varied))
                )
            found.append(float((truth - seen).square().mean()))
        return float(np.mean(found))

    assert far(whole) < 0.9 * far(teacher)
    assert torch.equal(whole.proj, teacher.proj)
    assert torch.equal(whole.ln_post.weight, teacher.ln_post.weight)
    assert not torch.equal(whole.conv1.weight, teacher.conv1.weight)

    asked = tower_consistency.views
    monkeypatch.setattr(tower_consistency, "_EVERY", 8)

    def killed(cache: SceneCache, settings: TrainingSettings, step: int) -> Any:
        if step == 19:
            raise KeyboardInterrupt
        return asked(cache, settings, step)

    with monkeypatch.context() as patch:
        patch.setattr(tower_consistency, "views", killed)
        with pytest.raises(KeyboardInterrupt):
            trained(teacher, cache, tmp_path / "broken", features)
    assert torch.equal(trained(teacher, cache, tmp_path / "broken", features).conv1.weight, whole.conv1.weight)
