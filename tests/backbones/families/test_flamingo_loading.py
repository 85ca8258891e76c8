"""The messages about an Idefics checkpoint that cannot be loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.backbones._flamingo_checkpoint import KINDS, save_flamingo, settings_of
from transformers import IdeficsForVisionText2Text

from pruneproof import backbones
from pruneproof.errors import PruneProofError


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    for kind in ("instructed", "base"):
        save_flamingo(root / "data/backbones" / kind, **KINDS[kind])
    return root


def copy(root: Path, to: Path, kind: str = "instructed") -> Path:
    shutil.copytree(root / "data/backbones" / kind, to / "data/backbones" / kind)
    return to / "data/backbones" / kind


def broken(root: Path, **changes: Any) -> str:
    """The message, which must be one line."""
    with pytest.raises(PruneProofError) as caught:
        backbones.load(settings_of("instructed").model_copy(update=changes), root, "cpu")
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_missing_weights(project: Path, tmp_path: Path) -> None:
    (copy(project, tmp_path) / "model.safetensors").unlink()
    assert "lacks model.safetensors" in broken(tmp_path)


def test_truncated_weights(project: Path, tmp_path: Path) -> None:
    weights = copy(project, tmp_path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    assert "cannot be read" in broken(tmp_path)


@pytest.mark.parametrize("part", ["perceiver_resampler", "gated_cross_attn_layers", "additional_embedding"])
def test_a_tensor_that_is_missing_from_the_weights(project: Path, tmp_path: Path, part: str) -> None:
    from safetensors.torch import load_file, save_file

    weights = copy(project, tmp_path) / "model.safetensors"
    tensors = load_file(weights)
    name = next(name for name in sorted(tensors) if part in name)
    save_file({key: value for key, value in tensors.items() if key != name}, weights, {"format": "pt"})
    assert f"lacks 1 tensors, such as {name}" in broken(tmp_path)


def test_another_family(project: Path, tmp_path: Path) -> None:
    config = copy(project, tmp_path) / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"model_type": "llava"}))
    message = broken(tmp_path)
    assert "'llava' model, not idefics" in message
    assert "change `family`" in message


def test_a_tokenizer_without_the_image_tokens(project: Path, tmp_path: Path) -> None:
    folder = copy(project, tmp_path)
    for path in (project / "data/backbones/instructed/clip").iterdir():
        if path.name.startswith("tokenizer"):
            shutil.copy(path, folder / path.name)
    assert "tokenizer without <fake_token_around_image>, <image>" in broken(tmp_path)


def test_a_folder_that_is_not_there_and_a_hub_name_without_revision(tmp_path: Path) -> None:
    assert "neither a folder" in broken(tmp_path, checkpoint="no/such/folder")
    assert "without a revision" in broken(tmp_path, checkpoint="someone/idefics")


def test_text_towers_that_cannot_be_read(project: Path, tmp_path: Path) -> None:
    assert "neither a folder" in broken(project, text_tower="ViT-Q-14")
    (copy(project, tmp_path) / "clip/open_clip_model.safetensors").unlink()
    assert "text_tower" in broken(tmp_path)


def test_the_clip_of_another_tower(project: Path) -> None:
    other = "data/backbones/base/clip"
    message = broken(project, text_tower=other)
    assert f"text_tower {other!r} does not match the vision tower" in message
    assert "its weights differ" in message
    allowed = settings_of("instructed").model_copy(update={"text_tower": other, "allow_tower_mismatch": True})
    assert backbones.load(allowed, project, "cpu").clip.embed(["a"]).shape == (1, 24)


def test_too_little_memory(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pruneproof.backbones.checkpoints import memory

    monkeypatch.setattr(memory, "free_bytes", lambda device: 1000)
    monkeypatch.setattr(IdeficsForVisionText2Text, "from_pretrained", lambda *_, **__: pytest.fail("was read"))
    assert "the weights need" in broken(project)
