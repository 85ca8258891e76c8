"""LVPruning's modules: what they are trained on is what they decide by, and training holds them to their shares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pruneproof.benchmarks.scenes.composition import compose, draw
from pruneproof.pruning.lvpruning import Settings, decide, shapes
from pruneproof.seeds import generator
from pruneproof.training.clip_model import build_clip, open_clip_config
from pruneproof.training.corpus import Lesson
from pruneproof.training.decision_training import (
    DecisionModule,
    DecisionSettings,
    gumbel,
    masked_answers,
    prompts,
    save,
    train_decisions,
)
from pruneproof.training.scene_cache import SceneCache, patch_labels
from pruneproof.training.settings import LanguageSettings, TowerSettings, TrainingSettings
from pruneproof.training.students import Glimpse, llava
from pruneproof.training.tokenizer import language_tokenizer, train_tokenizer

TOKENIZER = language_tokenizer(train_tokenizer(seed=3, vocabulary=400, scenes=20))
LESSONS = [Lesson("count", "How many cars are there?", "2"), Lesson("existence", "Is there a tree?", "yes")]
SETTINGS = TrainingSettings(
    tower=TowerSettings(width=32, layers=2, head_width=16, embedding=16, text_width=16, text_layers=1),
    language=LanguageSettings(width=24, layers=4, heads=2, feed_forward=32),
)


def model() -> Any:
    torch.manual_seed(1)
    clip = build_clip(open_clip_config(SETTINGS.tower, vocabulary=50, pad_id=0, eos_id=2))
    student = llava.student(SETTINGS, clip.state_dict(), TOKENIZER, Glimpse(torch.randn(3, 257, 32), torch.empty(0)))
    return student.model.eval()


def scenes(count: int) -> SceneCache:
    composed = tuple(compose(5, f"train/{index:06d}") for index in range(count))
    drawings = [draw(5, scene) for scene in composed]
    labels = [patch_labels(scene, drawing) for scene, drawing in zip(composed, drawings, strict=True)]
    nouns, colours = (np.stack(kind) for kind in zip(*labels, strict=True))
    return SceneCache("train", composed, np.stack([drawing.pixels for drawing in drawings]), nouns, colours)


def test_decisions_look_at_no_answer() -> None:
    asked = prompts(TOKENIZER, LESSONS)
    for row, lesson in enumerate(LESSONS):
        seen = TOKENIZER.decode(asked.ids[row][asked.question[row]])
        assert seen.strip() == f"{lesson.question.lower()}<answer>"
        ends = [*TOKENIZER(lesson.answer, add_special_tokens=False).input_ids, TOKENIZER.eos_token_id]
        assert asked.targets[row][asked.targets[row] >= 0].tolist() == ends


def test_a_sample_is_kept_as_often_as_its_logits_say() -> None:
    logits = torch.tensor([0.0, 1.0]).expand(200, 100, 2)
    kept = gumbel(logits, 1.0, generator(0))
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    expected = float(torch.tensor([0.0, 1.0]).softmax(0)[1])
    # Four standard deviations of 20,000 draws.
    assert abs(float(kept.mean()) - expected) < 4 * (expected * (1 - expected) / 20_000) ** 0.5


def test_a_sample_has_the_gradient_of_its_probability() -> None:
    logits = torch.zeros(1, 3, 2, requires_grad=True)
    torch.autograd.backward(gumbel(logits, 1.0, generator(0)).sum())
    assert logits.grad is not None
    assert bool((logits.grad[..., 1] > 0).all())
    torch.testing.assert_close(logits.grad[..., 0], -logits.grad[..., 1])


def test_a_new_module_keeps_most_tokens_whatever_is_asked() -> None:
    torch.manual_seed(0)
    module = dict(DecisionModule(24, 2, 16).tensors.items())
    assert {name: tuple(tensor.shape) for name, tensor in module.items()} == shapes(24, 2, 16)
    visual = torch.randn(50, 24)
    logits = decide(module, visual, torch.randn(4, 24)).detach()
    assert 0.8 < float(logits.softmax(-1)[:, 1].mean()) < 0.95
    assert torch.equal(logits, decide(module, visual, torch.randn(7, 24)).detach())


@torch.inference_mode()
def test_keeping_all_answers_as_the_model_does() -> None:
    whole = model()
    language = whole.model.language_model
    asked, visual = prompts(TOKENIZER, LESSONS[:1]), torch.randn(1, 256, 24)
    states, kept = masked_answers(
        language,
        {1: dict(DecisionModule(24, 2, 16).tensors.items())},
        visual,
        asked,
        TOKENIZER.bos_token_id,
        lambda logits: torch.ones_like(logits[..., 0]),
    )
    start = language.embed_tokens.weight[TOKENIZER.bos_token_id].expand(1, 1, -1)
    embedded = torch.cat([start, visual, language.embed_tokens(asked.ids)], dim=1)
    expected = language(inputs_embeds=embedded).last_hidden_state[:, 257:]
    torch.testing.assert_close(states, expected, atol=1e-4, rtol=1e-3)
    assert [float(stage.mean()) for stage in kept] == [1.0]


@pytest.mark.slow
def test_training_reaches_the_shares_and_leaves_the_model_alone(tmp_path: Path) -> None:
    whole = model()
    before = {name: tensor.clone() for name, tensor in whole.state_dict().items()}
    method = Settings(weights="decisions.safetensors", layers=(8, 16), keep=(0.5, 0.2))
    settings = DecisionSettings(heads=2, hidden=16, scenes_batch=1, steps=60, rate=2e-2)
    found, seconds = train_decisions(whole, TOKENIZER, scenes(2), settings, method, tmp_path)
    assert all(torch.equal(tensor, before[name]) for name, tensor in whole.state_dict().items())
    again, same = train_decisions(whole, TOKENIZER, scenes(2), settings, method, tmp_path)
    assert all(torch.equal(tensor, again[name]) for name, tensor in found.items())
    assert same == seconds > 0
    save(found, tmp_path / "data" / "decisions.safetensors")
    assert load_file(tmp_path / "data" / "decisions.safetensors").keys() == found.keys()
    modules = {
        layer: {name: found[f"{stage}.{name}"] for name in shapes(1, 1, 1)} for stage, layer in enumerate((1, 2))
    }
    rng = generator(0)
    with torch.inference_mode():
        _, kept = masked_answers(
            whole.model.language_model,
            modules,
            torch.randn(8, 256, 24),
            prompts(TOKENIZER, LESSONS * 4),
            TOKENIZER.bos_token_id,
            lambda logits: gumbel(logits, 1.0, rng),
        )
    assert all(abs(float(stage.mean()) - share) < 0.2 for stage, share in zip(kept, (0.5, 0.2), strict=True))
