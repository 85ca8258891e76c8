"""The committed weights: each built-in model loads like a checkpoint and sees what scenes show that it never saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.backbones._asking import ask

from pruneproof import backbones
from pruneproof.benchmarks.scenes import facts
from pruneproof.benchmarks.scenes.composition import compose, draw
from pruneproof.settings import BackboneSettings

PROJECT = Path(__file__).parents[2]
MODELS = sorted(path.parent.name for path in PROJECT.glob("data/backbones/builtin_*/config.json"))
SEED = 4242
"""Of scenes that no training and no study draws."""


def settings(name: str) -> BackboneSettings:
    return BackboneSettings(
        family=name.removeprefix("builtin_"),
        checkpoint=f"data/backbones/{name}",
        text_tower="data/backbones/builtin_llava/clip",
        control_text_tower="data/backbones/builtin_llava/clip_control",
    )


def test_every_one_has_the_settings_it_was_trained_by() -> None:
    assert "builtin_llava" in MODELS
    assert {path.stem for path in PROJECT.glob("data/backbones/builtin_*.yaml")} >= set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_it_knows_what_is_there(name: str) -> None:
    backbone = backbones.load(settings(name), PROJECT, "cpu")
    right = []
    for number in range(12):
        scene = compose(SEED, f"test/{number}")
        image = backbone.encode([Image.fromarray(draw(SEED, scene).pixels)])[0]
        asked = [(noun, "yes") for noun in facts.present(scene)] + [(noun, "no") for noun in facts.absent(scene)[:5]]
        kept = torch.arange(image.count)[None]
        replies = ask(backbone, [image], [f"Is there a {noun} in the image?" for noun, _ in asked], kept, 4)
        right += [reply.text == truth for reply, (_, truth) in zip(replies, asked, strict=True)]
    assert np.mean(right) > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_int8_weights_change_few_answers(name: str) -> None:
    """Logits move by a small part of what separates yes from no."""
    before = settings(name)
    both = [
        backbones.load(before.model_copy(update={"language_weights": w}), PROJECT, "cpu") for w in ("dtype", "int8")
    ]
    found = []
    for number in range(4):
        scene = compose(SEED, f"test/{number}")
        picture = Image.fromarray(draw(SEED, scene).pixels)
        questions = [f"Is there a {noun} in the image?" for noun in (*facts.present(scene), *facts.absent(scene)[:5])]
        for backbone in both:
            image = backbone.encode([picture])[0]
            found.append(ask(backbone, [image], questions, torch.arange(image.count)[None], 4))
    exact, int8 = ([reply for replies in found[i::2] for reply in replies] for i in (0, 1))
    margins, moved = (np.array([reply.yes_logit - reply.no_logit for reply in replies]) for replies in (exact, int8))
    assert 0 < np.abs(moved - margins).mean() < 0.05 * np.abs(margins).mean()
    assert np.mean([a.text == b.text for a, b in zip(exact, int8, strict=True)]) > 0.95


@pytest.mark.parametrize("name", MODELS)
def test_the_weights_are_small_enough_to_be_committed(name: str) -> None:
    folder = PROJECT / "data/backbones" / name
    assert sum(path.stat().st_size for path in folder.rglob("*.safetensors")) < 20e6
