"""Where relevance and attention lie: CLS attention as PyTorch's own attention gives it, shares by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from pruneproof.benchmarks.scenes.composition import compose, draw
from pruneproof.training import focus as module
from pruneproof.training.clip_model import new_clip, open_clip_config
from pruneproof.training.focus import cls_attention, focus
from pruneproof.training.pair import Pair
from pruneproof.training.scene_cache import SceneCache, patch_labels
from pruneproof.training.settings import TowerSettings
from pruneproof.training.tokenizer import clip_tokenizer, language_tokenizer, train_tokenizer

TOWER = TowerSettings(width=32, layers=2, head_width=16, embedding=16, text_width=32, text_layers=1)


def pair() -> Pair:
    words = train_tokenizer(1, 320)
    tokenizer = clip_tokenizer(words)
    torch.manual_seed(0)
    config = open_clip_config(TOWER, len(tokenizer), tokenizer.pad_token_id, tokenizer.eos_token_id)
    return Pair(new_clip(config).eval(), config, tokenizer, language_tokenizer(words))


def cache() -> SceneCache:
    scenes = tuple(compose(5, f"validation/{index}") for index in range(3))
    drawings = [draw(5, scene) for scene in scenes]
    labels = [patch_labels(scene, drawing) for scene, drawing in zip(scenes, drawings, strict=True)]
    nouns, colours = (np.stack(part) for part in zip(*labels, strict=True))
    return SceneCache("validation", scenes, np.stack([drawing.pixels for drawing in drawings]), nouns, colours)


def test_cls_attention_is_that_of_the_layer() -> None:
    visual = pair().clip.visual
    state = torch.randn(2, 257, 32)
    block = visual.transformer.resblocks[-1]
    normed = block.ln_1(state)
    _, weights = block.attn(normed, normed, normed, need_weights=True)
    assert torch.allclose(cls_attention(visual, state), weights[:, 0, 1:], atol=1e-6)


def test_even_attention_lies_on_objects_as_often_as_they_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "cls_attention", lambda visual, state: torch.full((1, 256), 1 / 256))
    scenes = cache()
    found = focus(pair(), scenes)
    share = 100 * float(np.asarray(scenes.nouns).any(2).mean())
    assert found.patches_with_objects == pytest.approx(share)
    assert found.attention_on_objects == pytest.approx(share)


def test_relevance_follows_the_labels() -> None:
    """Exchanging what the labels call object and background turns the two means round."""
    scenes, towers = cache(), pair()
    found = focus(towers, scenes)
    assert -1 <= found.relevance_background <= 1
    assert 0 <= found.background_wins <= 100
    flipped = dataclasses.replace(
        scenes, nouns=(1 - np.asarray(scenes.nouns).any(2, keepdims=True)) * np.ones_like(scenes.nouns)
    )
    other = focus(towers, flipped)
    assert other.patches_with_objects == pytest.approx(100 - found.patches_with_objects)
    assert other.attention_on_objects == pytest.approx(100 - found.attention_on_objects, abs=1e-3)
