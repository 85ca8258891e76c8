"""The whole training in miniature: both kinds of built-in model, resumed, saved, and read by the families' own code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tests.backbones._asking import relevance

from pruneproof import backbones
from pruneproof.errors import PruneProofError
from pruneproof.folders import Folders
from pruneproof.settings import BackboneSettings
from pruneproof.study import load_study
from pruneproof.training.settings import ConnectorSettings, LanguageSettings, TowerSettings, TrainingSettings
from pruneproof.training.stage import run, train

PROJECT = Path(__file__).parents[2]
TOWER = TowerSettings(
    width=48, layers=2, head_width=16, embedding=24, text_width=32, text_layers=1, window_batch=2, window_steps=2,
    image_batch=2, image_steps=2, contrastive_batch=4, contrastive_steps=2, consistency_steps=2,
    consistency_batch=4, consistency_clean=1, consistency_cut=1, unmatched=True,
)  # fmt: skip
LANGUAGE = LanguageSettings(
    width=48, layers=2, heads=3, feed_forward=64, batch=2, steps=3, short_only=1, short_until=2, matched_heads=1,
    dialogue_steps=2, settle_steps=2, place=True, state_bound=0.1, bfloat16=True,
)  # fmt: skip
CONNECTOR = ConnectorSettings(outputs=24, layers=1, heads=3)


def settings(family: str, tower_from: str | None) -> TrainingSettings:
    tower = TOWER if tower_from is None else TOWER.model_copy(update={"unmatched": False, "consistency_steps": 0})
    return TrainingSettings.model_validate(
        {
            "family": family, "tower_from": tower_from, "seed": 5, "scenes": 6, "validation": 3, "vocabulary": 320,
            "tower": tower, "language": LANGUAGE, "connector": CONNECTOR,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    train(settings("llava", None), folder / "work", folder / "data" / "builtin_llava")
    return folder


@pytest.mark.parametrize("family", ["llava", "blip2", "flamingo"])
def test_a_trained_model_is_read_by_the_code_that_reads_checkpoints(family: str, home: Path) -> None:
    target = home / "data" / f"builtin_{family}"
    if family != "llava":
        train(settings(family, "builtin_llava"), home / "work", target)
    chosen = BackboneSettings(
        family=family,
        checkpoint=f"data/builtin_{family}",
        text_tower="data/builtin_llava/clip",
        control_text_tower="data/builtin_llava/clip_control",
        max_new_tokens=3,
    )
    loaded = backbones.load(chosen, home, "cpu")
    image = loaded.encode([Image.new("RGB", (224, 224), "teal")])[0]
    assert image.count == 256
    asked = ["Is there a car?"]
    matched, control = (relevance(loaded, image, asked), relevance(loaded, image, asked, "control"))
    assert abs(np.corrcoef(matched, control)[0, 1]) < 0.9
    card = (target / "README.md").read_text()
    assert f"# builtin_{family}" in card
    assert "2 further steps of dialogues" in card
    assert "2 last steps of dialogues" in card
    assert all(f"| turn {turn} |" in card for turn in range(1, 5))
    assert ("distillation of features" in card) == ("| haze |" in card) == (family == "llava")
    assert ("CLS attention (last layer) on patches with objects" in card) == (family == "llava")
    assert "points short" in card, "two steps of training meet no demand"


def test_a_finished_training_is_only_written_again(home: Path) -> None:
    written = home / "data" / "builtin_llava" / "model.safetensors"
    before = written.read_bytes()
    written.unlink()
    train(settings("llava", None), home / "work", home / "data" / "builtin_llava")
    assert written.read_bytes() == before


def test_the_finished_tower_is_the_consistent_one_in_model_and_pair(home: Path) -> None:
    folder = home / "data" / "builtin_llava"
    pair = load_file(folder / "clip" / "open_clip_model.safetensors")
    taught = torch.load(home / "work" / "builtin_llava" / "tower_contrastive.pt", weights_only=True)["modules"]["clip"]
    stored = torch.load(home / "work" / "builtin_llava" / "tower_consistency.pt", weights_only=True)["modules"][
        "visual"
    ]
    for name, tensor in stored.items():
        assert torch.equal(pair[f"visual.{name}"], tensor.half()), name
    assert not torch.equal(pair["visual.conv1.weight"], taught["visual.conv1.weight"].half())
    assert torch.equal(pair["text_projection"], taught["text_projection"].half())
    model = load_file(folder / "model.safetensors")
    weight = next(tensor for name, tensor in model.items() if name.endswith("patch_embedding.weight"))
    assert torch.equal(weight, pair["visual.conv1.weight"])
    for name in ("clip", "clip_control"):
        tokenizer = json.loads((folder / name / "tokenizer.json").read_text())
        assert (tokenizer["padding"], tokenizer["truncation"]) == (None, None)


def test_other_settings_do_not_continue_a_training(home: Path) -> None:
    other = settings("llava", None).model_copy(update={"seed": 6})
    with pytest.raises(PruneProofError, match="holds checkpoints of other settings: delete the folder"):
        train(other, home / "work", home / "data" / "builtin_llava")


def test_a_pair_that_is_not_there_is_named(home: Path) -> None:
    with pytest.raises(PruneProofError, match=r"holds no CLIP pair .*: train builtin_nobody first"):
        train(settings("blip2", "builtin_nobody"), home / "work", home / "data" / "builtin_other")


def test_a_model_without_settings_is_refused() -> None:
    known = "builtin_blip2, builtin_flamingo, builtin_llava"
    with pytest.raises(PruneProofError, match=f"--name is 'builtin_x', but .* has settings for {known} only"):
        run(load_study(PROJECT), Folders(PROJECT), "builtin_x")
